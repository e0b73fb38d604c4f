"""``redis://``, ``rediss://``, ``unix://``: a Redis or Valkey server that the workers of a fleet share."""

from __future__ import annotations

import random
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from airflow_oauth_provider.tokens.stores.base import COUNTS_TTL_S, LEASE_S, MAX_ENTRY_BYTES, Counts, Entry, Lease

if TYPE_CHECKING:
    from redis.commands.core import Script

SCHEMES = ("redis", "rediss", "unix")

# Below the two seconds after which whoever asks goes on without the store.
_SOCKET_TIMEOUT_S = 1.5
# Above them: by then whoever asked for a lease knows whether it was granted.
_CLAIM_S = 3.0
_NAMESPACE = "airflow-oauth2:"
_MAX_GENERATION = 2**53

# Each script is one step for everybody else (Redis: "Scripting with Lua"). Whatever somebody else has put under a name,
# of another type or too large to be ours, is nothing, and is written over.
_PRESENT = f"""
local function present(key)
  if redis.call('TYPE', key).ok ~= 'hash' or redis.call('HSTRLEN', key, 'sealed') > {MAX_ENTRY_BYTES}
      or redis.call('HSTRLEN', key, 'generation') > 16 then
    return 0, false
  end
  local generation = tonumber(redis.call('HGET', key, 'generation') or '')
  if not generation or generation < 1 or generation >= {_MAX_GENERATION} or generation % 1 ~= 0 then
    return 0, false
  end
  return generation, redis.call('HGET', key, 'sealed')
end
"""
_READ = f"""{_PRESENT}
local generation, sealed = present(KEYS[1])
return {{string.format('%.0f', generation), sealed, redis.call('PTTL', KEYS[1])}}
"""
_WRITE = f"""{_PRESENT}
local generation = present(KEYS[1])
if ARGV[1] ~= '' and tonumber(ARGV[1]) ~= generation then return 0 end
local next = generation + 1
if generation == 0 or next == {_MAX_GENERATION} then next = tonumber(ARGV[2]) end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'generation', string.format('%.0f', next))
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'sealed', ARGV[4]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
_MINE = """
local function mine(key, holder)
  return redis.call('TYPE', key).ok == 'string' and redis.call('STRLEN', key) == #holder
    and redis.call('GET', key) == holder
end
"""
# One without an end, or with one too far away, is none of ours. One of the same holder is that of its first try, the
# answer to which got lost.
_LEASE = f"""{_MINE}
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left <= tonumber(ARGV[3]) and not mine(KEYS[1], ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_KEEP = f"""{_MINE}
if mine(KEYS[1], ARGV[1]) then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
_NUMBER = """
local function number(field)
  if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or redis.call('HSTRLEN', KEYS[1], field) > 15 then return 0 end
  return tonumber(string.match(redis.call('HGET', KEYS[1], field) or '', '^%d+$') or 0)
end
"""
_COUNT = f"""{_NUMBER}
local made, saved = number('made') + ARGV[1], number('saved') + ARGV[2]
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'made', string.format('%.0f', made), 'saved', string.format('%.0f', saved))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""
_COUNTS = f"""{_NUMBER}
return {{number('made'), number('saved')}}
"""


class RedisStore:
    """
    A hash an entry, with its generation in clear and a TTL; a key that expires is a lease.

    Redis keeps the time: how long an entry still lives is told by the server, whatever the clocks of the workers say.

    :param url: as redis-py takes it (``redis.Redis.from_url``); it may hold user and password
    :raises ImportError: redis-py is not installed
    :raises ValueError: the URL is not one
    """

    def __init__(self, url: str) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        parts = urlsplit(url)
        if _ambiguous(parts):
            # Without a cause: redis-py's own message would show a part of the password.
            raise ValueError("its port is no number, or its user or password has characters to be percent-encoded")
        if parts.scheme != "unix" and not re.fullmatch(r"/?[0-9]*/?", parts.path):
            # redis-py would take database 0. Not shown: it may be a part of a password.
            raise ValueError("its path is not the number of a database")
        self._described = described(url)
        options: dict[str, Any] = {"ssl_check_hostname": True} if parts.scheme == "rediss" else {}
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=_SOCKET_TIMEOUT_S,
            socket_connect_timeout=_SOCKET_TIMEOUT_S,
            # Once more at once: the server may have closed a connection that was idle.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            # Nothing of version 3 is of use here, and each task would ask for it before its first command.
            protocol=2,
            **options,
        )
        self._read, self._write, self._lease, self._keep, self._count, self._counts = (
            self._client.register_script(text) for text in (_READ, _WRITE, _LEASE, _KEEP, _COUNT, _COUNTS)
        )

    def describe(self) -> str:
        """Return the store's URL without user, password and options."""
        return self._described

    def read(self, name: str) -> Entry:
        """Return the entry under *name*; of one that has ended its generation, on which a fetch may still build."""
        generation, sealed, left_ms = self._read(keys=[_NAMESPACE + name])
        if left_ms < 0:
            return Entry(int(generation), sealed)
        ttl_s = left_ms / 1000 - LEASE_S
        return Entry(int(generation), sealed, ttl_s) if ttl_s > 0 else Entry(int(generation))

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool:
        """
        Store *sealed* with the next generation; see :class:`~.base.TokenStore`.

        It stays for the time of a lease longer than it lives: a fetch may have begun that builds on its generation.
        One begins at random: an entry that is gone has taken its own with it, and whoever slept meanwhile must not find
        the number again on which it builds.
        """
        first = random.randrange(1, _MAX_GENERATION // 2)
        ttl_ms = int((max(0.0, ttl_s) + LEASE_S) * 1000)
        arguments: list[str | int | bytes] = ["" if expected is None else expected, first, ttl_ms, sealed or b""]
        return bool(self._write(keys=[_NAMESPACE + name], args=arguments))

    def try_lease(self, name: str, lasts_s: float = LEASE_S) -> Lease | None:
        """
        Return the lease on *name* when nobody holds it.

        It is asked for twice, and only the second time for long: a server that hangs does later what it was told
        before, and a lease that nobody waits for any more would keep everybody waiting.
        """
        lease = _RedisLease(self._keep, f"{_NAMESPACE}{name}.lease", secrets.token_hex(16))
        lasts_s = min(lasts_s, LEASE_S)
        claim: list[str | int] = [lease.holder, int(min(_CLAIM_S, lasts_s) * 1000), int(LEASE_S * 1000)]
        if not self._lease(keys=[lease.key], args=claim):
            return None
        try:
            return lease if lease.keep(lasts_s) else None
        except Exception:
            # Its answer may be what got lost.
            with suppress(Exception):
                lease.release()
            raise

    def count(self, name: str, *, made: int = 0, saved: int = 0) -> None:
        """Add to the counts under *name*; they end 30 days after the last change."""
        self._count(keys=[f"{_NAMESPACE}{name}.count"], args=[made, saved, COUNTS_TTL_S * 1000])

    def counts(self, name: str) -> Counts:
        """Return the counts under *name*."""
        return Counts(*self._counts(keys=[f"{_NAMESPACE}{name}.count"]))


class _RedisLease:
    def __init__(self, keep: Script, key: str, holder: str) -> None:
        self._keep = keep
        self.key = key
        self.holder = holder

    def keep(self, seconds: float) -> bool:
        """Hold it for *seconds* from now on; False when it is somebody else's by now."""
        return bool(self._keep(keys=[self.key], args=[self.holder, int(seconds * 1000)]))

    def release(self) -> None:
        self.keep(0)


def described(url: str) -> str:
    """Return *url* without user, password and options; its scheme alone when nobody can tell where they end."""
    parts = urlsplit(url)
    return f"{parts.scheme}://" + ("…" if _ambiguous(parts) else f"{parts.netloc.rpartition('@')[2]}{parts.path}")


def _ambiguous(parts: SplitResult) -> bool:
    """Whether a password with a slash, a question mark or a number sign in it may have been taken for port and path."""
    try:
        parts.port  # noqa: B018  # it raises
    except ValueError:
        return True
    return "@" in f"{parts.path}{parts.query}{parts.fragment}"
