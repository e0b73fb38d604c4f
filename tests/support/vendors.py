"""What vendors document of their token endpoints and APIs: written down from their pages, not from our connections."""

from __future__ import annotations

from tests.support.vendor_server import JWT_ASSERTION, PLATFORM, Signed, Vendor

_BEARER = {"token_type": "Bearer"}
_BY_JWT = {"client_assertion_type": JWT_ASSERTION}
_CC = {"grant_type": "client_credentials"}
_JWT_GRANT = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}

_ENTRA = "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/oauth2/v2.0/token"
_ENTRA_CLIENT = "00001111-aaaa-2222-bbbb-3333cccc4444"
_ENTRA_ANSWER = {**_BEARER, "expires_in": 3599, "ext_expires_in": 3599}
_GRAPH = {"scope": "https://graph.microsoft.com/.default"}
_GRAPH_CALL = ("users", "https://graph.microsoft.com/v1.0/users")
_ENTRA_SIGNED = Signed(
    {"iss": _ENTRA_CLIENT, "sub": _ENTRA_CLIENT, "aud": _ENTRA},
    {"alg": "PS256", "typ": "JWT"},
    names_certificate=True,
)

_OKTA = "https://acme.okta.com/oauth2/v1/token"
_OKTA_CLIENT = "0oa1b2c3d4e5f6g7h8i9"
_OKTA_SIGNED = Signed(
    {"iss": _OKTA_CLIENT, "sub": _OKTA_CLIENT, "aud": _OKTA}, {"alg": "RS256", "typ": "JWT", "kid": "okta-key-1"}
)
_OKTA_FORM = {**_CC, **_BY_JWT, "client_id": _OKTA_CLIENT, "scope": "okta.users.read"}
_OKTA_CALL = ("users", "https://acme.okta.com/api/v1/users")

_AUTH0 = "https://acme.eu.auth0.com/oauth/token"
_AUTH0_CLIENT = "AbCdEfGhIjKlMnOpQrStUvWxYz012345"
_AUTH0_FORM = {**_CC, "client_id": _AUTH0_CLIENT, "audience": "https://api.example.com/"}
_EXAMPLE_CALL = ("orders", "https://api.example.com/v1/orders")

_REALM = "https://sso.example.com/realms/acme"
_REALM_TOKEN = f"{_REALM}/protocol/openid-connect/token"
_REALM_ANSWER = {
    **_BEARER,
    "expires_in": 300,
    "refresh_expires_in": 0,
    "not-before-policy": 0,
    "scope": "profile email",
}

_SALESFORCE_CALL = ("services/data/v62.0/query", "https://acme.my.salesforce.com/services/data/v62.0/query")
_SALESFORCE_ANSWER = {
    **_BEARER,
    "scope": "api",
    "instance_url": "https://acme.my.salesforce.com",
    "id": "https://login.salesforce.com/id/00D000000000001AAA/005000000000001AAA",
}

_SAP_CLIENT = "sb-orders!b1234|it-rt-acme!b5678"
_SAP_CALL = ("orders", "https://acme.it-cpi001-rt.cfapps.eu10.hana.ondemand.com/http/orders")
_SAP_ANSWER = {"token_type": "bearer", "expires_in": 43199, "scope": "uaa.resource", "jti": "0123456789abcdef"}

_DATABRICKS = "https://dbc-a1b2345c-d6e7.cloud.databricks.com"
_DATABRICKS_CLIENT = "11112222-bbbb-3333-cccc-4444dddd5555"
_DATABRICKS_ANSWER = {**_BEARER, "expires_in": 3600, "scope": "all-apis"}
_DATABRICKS_CALL = ("2.2/jobs/list", f"{_DATABRICKS}/api/2.2/jobs/list")

VENDORS = [
    Vendor(
        "Entra ID 1",
        _ENTRA,
        {**_CC, **_BY_JWT, **_GRAPH, "client_id": _ENTRA_CLIENT},
        _ENTRA_ANSWER,
        _GRAPH_CALL,
        3599,
        presented="client_assertion",
        environment={
            "AZURE_FEDERATED_TOKEN_FILE": PLATFORM,
            "AZURE_CLIENT_ID": _ENTRA_CLIENT,
            "AZURE_TENANT_ID": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
            "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
        },
    ),
    Vendor(
        "Entra ID 2",
        _ENTRA,
        {**_CC, **_BY_JWT, **_GRAPH, "client_id": _ENTRA_CLIENT},
        _ENTRA_ANSWER,
        _GRAPH_CALL,
        3599,
        signed=_ENTRA_SIGNED,
    ),
    Vendor(
        "Entra ID 3",
        _ENTRA,
        {**_CC, **_GRAPH, "client_id": _ENTRA_CLIENT, "client_secret": "the client secret"},
        _ENTRA_ANSWER,
        _GRAPH_CALL,
        3599,
    ),
    Vendor(
        "Okta 1",
        _OKTA,
        _OKTA_FORM,
        {"token_type": "DPoP", "expires_in": 3600, "scope": "okta.users.read"},
        _OKTA_CALL,
        3600,
        signed=_OKTA_SIGNED,
        demands_proofs=True,
    ),
    Vendor(
        "Okta 2",
        _OKTA,
        _OKTA_FORM,
        {**_BEARER, "expires_in": 3600, "scope": "okta.users.read"},
        _OKTA_CALL,
        3600,
        signed=_OKTA_SIGNED,
    ),
    Vendor(
        "Auth0 1",
        _AUTH0,
        {**_AUTH0_FORM, **_BY_JWT},
        {**_BEARER, "expires_in": 86400},
        _EXAMPLE_CALL,
        86400,
        signed=Signed(
            {"iss": _AUTH0_CLIENT, "sub": _AUTH0_CLIENT, "aud": "https://acme.eu.auth0.com/"},
            {"alg": "RS256", "typ": "JWT"},
        ),
    ),
    Vendor(
        "Auth0 2",
        _AUTH0,
        {**_AUTH0_FORM, "client_secret": "the client secret"},
        {**_BEARER, "expires_in": 86400},
        _EXAMPLE_CALL,
        86400,
    ),
    Vendor(
        "Keycloak 1",
        _REALM_TOKEN,
        {**_CC, **_BY_JWT, "client_id": "airflow"},
        _REALM_ANSWER,
        _EXAMPLE_CALL,
        300,
        signed=Signed({"iss": "airflow", "sub": "airflow", "aud": _REALM}, {"alg": "RS256"}),
        documents={
            f"{_REALM}/.well-known/openid-configuration": {
                "issuer": _REALM,
                "token_endpoint": _REALM_TOKEN,
                "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "tls_client_auth"],
                "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
                "grant_types_supported": ["authorization_code", "client_credentials"],
            }
        },
    ),
    Vendor("Keycloak 2", _REALM_TOKEN, _CC, _REALM_ANSWER, _EXAMPLE_CALL, 300, basic=("airflow", "the client secret")),
    Vendor(
        "Amazon Cognito 1",
        "https://acme.auth.eu-west-1.amazoncognito.com/oauth2/token",
        {**_CC, "scope": "orders/read"},
        {**_BEARER, "expires_in": 3600},
        _EXAMPLE_CALL,
        3600,
        basic=("1example23456789", "the client secret"),
    ),
    Vendor(
        "Google 1",
        "https://oauth2.googleapis.com/token",
        _JWT_GRANT,
        {**_BEARER, "expires_in": 3599},
        ("b/acme-lake/o", "https://storage.googleapis.com/storage/v1/b/acme-lake/o"),
        3599,
        signed=Signed(
            {
                "iss": "airflow@acme.iam.gserviceaccount.com",
                "sub": "airflow@acme.iam.gserviceaccount.com",
                "aud": "https://oauth2.googleapis.com/token",
                "scope": "https://www.googleapis.com/auth/devstorage.read_only",
            },
            {"alg": "RS256", "typ": "JWT", "kid": "370ab79b4513eb9bad7c9bd16a95cb76b5b2a56a"},
            parameter="assertion",
        ),
    ),
    Vendor(
        "Salesforce 1",
        "https://login.salesforce.com/services/oauth2/token",
        _JWT_GRANT,
        _SALESFORCE_ANSWER,
        _SALESFORCE_CALL,
        3600,
        signed=Signed(
            {
                "iss": "3MVG9example.consumer.key",
                "sub": "airflow@acme.example",
                "aud": "https://login.salesforce.com",
            },
            {"alg": "RS256"},
            parameter="assertion",
        ),
    ),
    Vendor(
        "Salesforce 2",
        "https://acme.my.salesforce.com/services/oauth2/token",
        {**_CC, "client_id": "3MVG9example.consumer.key", "client_secret": "the consumer secret"},
        {**_SALESFORCE_ANSWER, "signature": "bWFkZSB1cA==", "issued_at": "1764460800000"},
        _SALESFORCE_CALL,
        3600,
    ),
    Vendor(
        "SAP BTP 1",
        "https://acme.authentication.cert.eu10.hana.ondemand.com/oauth/token",
        {**_CC, "client_id": _SAP_CLIENT},
        _SAP_ANSWER,
        _SAP_CALL,
        43199,
        demands_certificate=True,
    ),
    Vendor(
        "SAP BTP 2",
        "https://acme.authentication.eu10.hana.ondemand.com/oauth/token",
        {**_CC, "client_id": _SAP_CLIENT, "client_secret": "the$client$secret="},
        _SAP_ANSWER,
        _SAP_CALL,
        43199,
    ),
    Vendor(
        "ServiceNow 1",
        "https://acme.service-now.com/oauth_token.do",
        {
            **_CC,
            "client_id": "be3aeb583ace210011c15b24a43e25d8",
            "client_secret": "the client secret",
            "scope": "useraccount",
        },
        {**_BEARER, "expires_in": 1799, "scope": "useraccount"},
        ("table/incident", "https://acme.service-now.com/api/now/table/incident"),
        1799,
    ),
    Vendor(
        "Snowflake 1",
        _ENTRA,
        {
            **_CC,
            **_BY_JWT,
            "client_id": _ENTRA_CLIENT,
            "scope": "https://acme.example/11112222-bbbb-3333-cccc-4444dddd5555/.default",
        },
        _ENTRA_ANSWER,
        ("statements/0123", "https://acme-prod.snowflakecomputing.com/api/v2/statements/0123"),
        3599,
        signed=_ENTRA_SIGNED,
        api_headers={"x-snowflake-authorization-token-type": "OAUTH"},
    ),
    Vendor(
        "Databricks 1",
        f"{_DATABRICKS}/oidc/v1/token",
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "client_id": _DATABRICKS_CLIENT,
            "scope": "all-apis",
        },
        _DATABRICKS_ANSWER,
        _DATABRICKS_CALL,
        3600,
        presented="subject_token",
    ),
    Vendor(
        "Databricks 2",
        f"{_DATABRICKS}/oidc/v1/token",
        {**_CC, "scope": "all-apis"},
        _DATABRICKS_ANSWER,
        _DATABRICKS_CALL,
        3600,
        basic=(_DATABRICKS_CLIENT, "the secret"),
    ),
    Vendor(
        "PayPal 1",
        "https://api-m.paypal.com/v1/oauth2/token",
        _CC,
        {**_BEARER, "expires_in": 31668, "scope": "https://uri.paypal.com/services/invoicing", "app_id": "APP-80W284"},
        ("invoicing/invoices", "https://api-m.paypal.com/v1/invoicing/invoices"),
        31668,
        basic=("the client id", "the secret"),
    ),
    Vendor(
        "Spotify 1",
        "https://accounts.spotify.com/api/token",
        _CC,
        {"token_type": "bearer", "expires_in": 3600},
        ("artists/4Z8W4fKeB5YxbusRsdQVPb", "https://api.spotify.com/v1/artists/4Z8W4fKeB5YxbusRsdQVPb"),
        3600,
        basic=("the client id", "the client secret"),
    ),
    Vendor(
        "Zoom 1",
        "https://zoom.us/oauth/token",
        {"grant_type": "account_credentials", "account_id": "AbCdEf0123456789"},
        {"token_type": "bearer", "expires_in": 3600, "scope": "user:read:admin", "api_url": "https://api.zoom.us"},
        ("users", "https://api.zoom.us/v2/users"),
        3600,
        basic=("the client id", "the client secret"),
    ),
    Vendor(
        "eBay 1",
        "https://api.ebay.com/identity/v1/oauth2/token",
        {**_CC, "scope": "https://api.ebay.com/oauth/api_scope"},
        {"token_type": "Application Access Token", "expires_in": 7200},
        ("item_summary/search", "https://api.ebay.com/buy/browse/v1/item_summary/search"),
        7200,
        basic=("acme-orders-PRD-0123456789", "the cert id"),
    ),
    Vendor(
        "Adobe 1",
        "https://ims-na1.adobelogin.com/ims/token/v3",
        {
            **_CC,
            "client_id": "e053e1a87cf74c68a6ec8e71d4a82662",
            "client_secret": "the client secret",
            "scope": "openid,AdobeID,read_organizations",
        },
        {"token_type": "bearer", "expires_in": 86399},
        ("catalog/dataSets", "https://platform.adobe.io/data/foundation/catalog/dataSets"),
        86399,
        api_headers={"x-api-key": "e053e1a87cf74c68a6ec8e71d4a82662", "x-gw-ims-org-id": "0123456789@AdobeOrg"},
    ),
    Vendor(
        "DocuSign 1",
        "https://account.docusign.com/oauth/token",
        _JWT_GRANT,
        {**_BEARER, "expires_in": 3600, "scope": "signature impersonation"},
        ("accounts/1/envelopes", "https://eu.docusign.net/restapi/v2.1/accounts/1/envelopes"),
        3600,
        signed=Signed(
            {
                "iss": "the integration key",
                "sub": "the user's id",
                "aud": "account.docusign.com",
                "scope": "signature impersonation",
            },
            {"alg": "RS256", "typ": "JWT"},
            parameter="assertion",
        ),
    ),
]
