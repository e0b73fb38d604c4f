from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import PermanentError, SettingsError
from airflow_oauth_provider.extra import Extra, json_text, refuse_masked_value
from tests.support.keys import everything_in

KNOWN = (
    *("base_url", "scope", "leeway", "timeout", "verify", "allow_http", "headers", "allowed_hosts", "auth_method"),
    *("rar", "private_key"),
)
KEY = "-----BEGIN EC PRIVATE KEY-----\nbWFkZS11cA==\n-----END EC PRIVATE KEY-----"
NOT_SET: list[Any] = [None, "", "   ", {}, []]


def extra(**members: Any) -> Extra:
    return Extra(json.dumps(members), KNOWN)


@pytest.mark.parametrize("raw", [None, "", "  \n", "{}"])
def test_no_extra_is_an_extra_with_nothing_set(raw: str | None) -> None:
    empty = Extra(raw, KNOWN)
    assert empty.text("scope") is None
    assert empty.words("allowed_hosts") == ()
    assert empty.flag("allow_http") is None
    assert empty.mapping("headers") == ()
    assert empty.integer("leeway", 60, maximum=3600) == 60


@pytest.mark.parametrize("value", NOT_SET)
def test_null_and_everything_empty_mean_not_set(value: Any) -> None:
    empty = extra(scope=value, allowed_hosts=value, leeway=value, headers=value, timeout=value)
    assert empty.text("scope") is None
    assert empty.words("allowed_hosts") == ()
    assert empty.integer("leeway", 60, maximum=3600) == 60
    assert empty.mapping("headers") == ()
    assert empty.number_text("timeout") is None


@pytest.mark.parametrize("value", [None, "", {}, []])
def test_an_empty_flag_is_not_set(value: Any) -> None:
    assert extra(allow_http=value).flag("allow_http") is None


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ('{"scope": "a"', "not JSON"),
        ("{'scope': 'a'}", "not JSON"),
        ("scope=a", "not JSON"),
        ('["a"]', "not a JSON object"),
        ('"{}"', "not a JSON object"),
        ("17", "not a JSON object"),
        ('{"leeway": NaN}', "NaN"),
        ('{"leeway": -Infinity}', "-Infinity"),
        ('{"leeway": ' + "9" * 5000 + "}", "not JSON that can be read"),
        ('{"headers": ' + "[" * 100_000 + "}", "not JSON"),
    ],
)
def test_a_broken_extra_is_an_error_and_not_an_empty_one(raw: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Extra(raw, KNOWN)


def test_an_error_about_broken_json_does_not_quote_it() -> None:
    with pytest.raises(SettingsError) as caught:
        Extra('{"secret_headers": {"X-Api-Key": "made-up-key" oops}}', KNOWN)
    assert "made-up-key" not in str(caught.value)
    assert "made-up-key" not in everything_in(caught.value)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("base_ulr", "base_url"), ("Scope", "scope"), ("headerz", "headers"), ("allow_https", "allow_http")],
)
def test_an_unknown_key_fails_with_its_name_and_the_nearest_known_one(key: str, nearest: str) -> None:
    with pytest.raises(SettingsError) as caught:
        extra(**{key: "value-of-it"})
    assert repr(key) in str(caught.value)
    assert repr(nearest) in str(caught.value)
    assert "value-of-it" not in str(caught.value)


def test_an_unknown_key_without_a_value_is_unknown_all_the_same() -> None:
    with pytest.raises(SettingsError, match="unknown key"):
        extra(nonsense=None)


@pytest.mark.parametrize(
    "members",
    [
        *({"scope": "***"}, {"scope": " *** "}, {"headers": {"X-Key": "***"}}, {"headers": {"a": {"b": "***"}}}),
        {"rar": [{"a": "***"}]},
    ],
)
def test_a_masked_value_that_was_copied_is_an_error(members: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="masked value was copied"):
        extra(**members)


def test_a_masked_value_in_an_object_that_came_as_text_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"headers\.X-Key"):
        extra(headers='{"X-Key": "***"}').mapping("headers")


@pytest.mark.parametrize("value", [None, "", "**", "a***b"])
def test_what_only_resembles_a_masked_value_is_taken(value: str | None) -> None:
    refuse_masked_value(value, "Client secret")
    assert extra(scope=value).text("scope") == (value or None)


@pytest.mark.parametrize(("value", "text"), [("  a b ", "a b"), (123, "123"), (True, "true"), (False, "false")])
def test_text_may_arrive_as_a_number_or_a_boolean(value: Any, text: str) -> None:
    assert extra(scope=value).text("scope") == text


def test_a_long_whole_number_keeps_its_digits_as_text() -> None:
    assert Extra('{"scope": 90071992547409931234567}', KNOWN).text("scope") == "90071992547409931234567"


@pytest.mark.parametrize("number", ["1.10", "1e5", "100000.0", "0.1234567890123456789"])
def test_a_fraction_in_a_text_field_is_refused_rather_than_losing_digits(number: str) -> None:
    with pytest.raises(SettingsError, match="put it in quotes") as caught:
        Extra(f'{{"scope": {number}}}', KNOWN).text("scope")
    assert number not in str(caught.value)  # it may be somebody's secret


@pytest.mark.parametrize("value", [{"a": 1}, ["a"]])
def test_an_object_or_a_list_is_no_text(value: Any) -> None:
    with pytest.raises(SettingsError, match="auth_method is"):
        extra(auth_method=value).text("auth_method")


def test_text_outside_of_a_choice_is_an_error_that_names_the_choice() -> None:
    with pytest.raises(SettingsError, match="'digest' is none of basic, post"):
        extra(auth_method="digest").text("auth_method", among=("basic", "post"))


@pytest.mark.parametrize("value", ["a b", " a\tb\n", ["a", "b"], ["a b"]])
def test_blank_separated_text_may_arrive_as_a_list(value: Any) -> None:
    assert extra(allowed_hosts=value).words("allowed_hosts") == ("a", "b")


@pytest.mark.parametrize("value", ["a b,c", " a  b ,, c,", ["a b", "c"], ["a\tb", "c "]])
def test_phrases_are_what_commas_separate_and_may_arrive_as_a_list(value: Any) -> None:
    assert extra(allowed_hosts=value).phrases("allowed_hosts") == ("a b", "c")


@pytest.mark.parametrize("value", [[1], [None], [["a"]]])
def test_a_list_of_something_else_than_text_is_an_error(value: Any) -> None:
    with pytest.raises(SettingsError, match="allowed_hosts"):
        extra(allowed_hosts=value).words("allowed_hosts")


@pytest.mark.parametrize("raw", ["30", '"30"', '" 30 "', "30.0", '"30.0"'])
def test_a_whole_number_may_arrive_as_text(raw: str) -> None:
    assert Extra(f'{{"leeway": {raw}}}', KNOWN).integer("leeway", 60, maximum=3600) == 30


@pytest.mark.parametrize(
    "raw", ["30.5", '"30.5"', "-1", '"a minute"', "3601", "1e1", "9" * 40, "true", '"٣٠"', "[30]", '{"s": 30}']
)
def test_what_is_no_whole_number_in_range_is_refused(raw: str) -> None:
    with pytest.raises(SettingsError, match="leeway"):
        Extra(f'{{"leeway": {raw}}}', KNOWN).integer("leeway", 60, maximum=3600)


@pytest.mark.parametrize(("raw", "text"), [("30", "30"), ("7.50", "7.50"), ('"10,60"', "10,60"), ('"30"', "30")])
def test_numbers_in_text_keep_the_digits_that_were_written(raw: str, text: str) -> None:
    assert Extra(f'{{"timeout": {raw}}}', KNOWN).number_text("timeout") == text


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        (True, True), (False, False), ("true", True), ("True", True), (" false ", False),
        (1, True), (0, False), ("1", True), ("0", False), ("yes", True), ("off", False), ("y", True),
    ],
)  # fmt: skip
def test_a_flag_may_arrive_as_text_or_number(value: Any, flag: bool) -> None:
    assert extra(allow_http=value).flag("allow_http") is flag


@pytest.mark.parametrize("value", ["maybe", 2, "tru", ["true"]])
def test_what_is_neither_true_nor_false_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match="allow_http"):
        extra(allow_http=value).flag("allow_http")


@pytest.mark.parametrize("value", [{"a": "1", "b": 2, "c": True}, '{"a": "1", "b": 2, "c": true}'])
def test_an_object_may_arrive_as_json_text_and_its_values_as_numbers_or_booleans(value: Any) -> None:
    assert extra(headers=value).mapping("headers") == (("a", "1"), ("b", "2"), ("c", "true"))


def test_members_of_an_object_that_are_not_set_are_left_out() -> None:
    assert extra(headers={"a": None, "b": "", "c": "1"}).mapping("headers") == (("c", "1"),)


@pytest.mark.parametrize("raw", ['{"v": 1.10}', '"{\\"v\\": 1.10}"'])
def test_a_fraction_in_an_object_is_refused_because_a_uri_may_have_changed_it(raw: str) -> None:
    with pytest.raises(SettingsError, match=r"headers: the value of 'v' came as a number with a fraction"):
        Extra(f'{{"headers": {raw}}}', KNOWN).mapping("headers")


@pytest.mark.parametrize(
    "value", ["not json", "[1]", '"text"', ["a"], 7, True, {"a": {"b": 1}}, {"a": ["b"]}, '{"a": NaN}']
)
def test_what_is_no_object_of_text_values_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match="headers"):
        extra(headers=value).mapping("headers")


@pytest.mark.parametrize("value", [{"a": [1, {"b": True}]}, '{"a": [1, {"b": true}]}'])
def test_json_of_any_depth_may_arrive_as_text(value: Any) -> None:
    assert extra(rar=value).json("rar") == {"a": [1, {"b": True}]}
    assert extra(rar=[value] if isinstance(value, dict) else f"[{value}]").json("rar") == [{"a": [1, {"b": True}]}]


@pytest.mark.parametrize("value", NOT_SET)
def test_json_that_is_empty_is_not_set(value: Any) -> None:
    assert extra(rar=value).json("rar") is None


@pytest.mark.parametrize("value", ["text", "7", 7, True, '"text"', "null", "{'a': 1}"])
def test_what_is_neither_an_object_nor_an_array_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match="rar"):
        extra(rar=value).json("rar")


@pytest.mark.parametrize("number", ["12.5", "1e5", "100000.0", "-0.25"])
def test_a_fraction_in_json_counts_by_its_value(number: str) -> None:
    assert Extra(f'{{"rar": [{number}]}}', KNOWN).json("rar") == [float(number)]
    assert json_text([float(number)]) == f"[{float(number)}]"


@pytest.mark.parametrize("number", ["0.12345678901234567890123", "1e400", "12345678901234567890.5"])
def test_a_fraction_in_json_that_cannot_be_kept_is_refused(number: str) -> None:
    with pytest.raises(SettingsError, match=r"rar holds a number.*quotes"):
        Extra(f'{{"rar": [{number}]}}', KNOWN).json("rar")


def test_json_text_keeps_the_order_and_the_letters_of_what_was_written() -> None:
    assert json_text({"b": "ü", "a": [None, True]}) == '{"b":"ü","a":[null,true]}'


@pytest.mark.parametrize(
    ("value", "text"),
    [(" a\n b ", " a\n b "), (1234, "1234"), (True, "true"), ({"kty": "EC", "x": "y"}, '{"kty":"EC","x":"y"}')],
)
def test_verbatim_text_is_not_touched(value: Any, text: str) -> None:
    assert extra(scope=value).verbatim("scope") == text


@pytest.mark.parametrize("value", NOT_SET)
def test_verbatim_text_that_is_blank_is_not_set(value: Any) -> None:
    assert extra(scope=value).verbatim("scope") is None
    assert not extra(scope=value).has("scope")


@pytest.mark.parametrize("value", ["a", 0, False, ["a"], {"a": 1}])
def test_what_is_there_is_set(value: Any) -> None:
    assert extra(scope=value).has("scope")
    assert not extra(scope=value).has("headers")


def test_a_private_key_is_taken_only_where_airflow_hides_it() -> None:
    members = {"private_key": KEY}
    assert Extra(json.dumps(members), KNOWN, ["private_key"]).verbatim("private_key") == KEY
    for key in ("private_key", "scope"):
        with pytest.raises(SettingsError, match=f"{key} holds a private key") as caught:
            Extra(json.dumps({key: KEY}), KNOWN)
        assert "bWFkZS11cA" not in str(caught.value)


def test_what_the_test_button_of_2_11_sends_is_read_as_the_form_meant_it() -> None:
    """Each field stands there twice, and a secret that is not set as a placeholder."""
    placeholder = "RATHER_LONG_SENSITIVE_FIELD_PLACEHOLDER"
    sent = extra(extra__oauth2__scope="a", scope="a", extra__oauth2__leeway="30", private_key=placeholder)
    assert (sent.text("scope"), sent.integer("leeway", 60, maximum=3600)) == ("a", 30)
    assert not sent.has("private_key")
    with pytest.raises(SettingsError, match="unknown key 'nonsense'"):
        extra(extra__oauth2__nonsense="a")


def test_an_error_about_settings_fails_the_task_at_once() -> None:
    assert issubclass(SettingsError, PermanentError)


@pytest.mark.parametrize("depth", [60, 500, 900, 100_000])
@pytest.mark.parametrize("as_text", [True, False])
def test_what_is_nested_too_deeply_is_an_error_with_a_sentence(depth: int, as_text: bool) -> None:
    deep = "[" * depth + "]" * depth
    with pytest.raises(SettingsError, match=r"nested too deeply|not JSON that can be read"):
        Extra(json.dumps({"rar": deep}) if as_text else f'{{"rar": {deep}}}', ["rar"]).json("rar")
