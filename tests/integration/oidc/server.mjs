// A certified authorization server (oidc-provider) and an API that it protects, in one process on one loopback port:
//   /token            the token endpoint, client_credentials only, opaque tokens
//   /api/orders       needs the scope orders:read; /api/orders/write needs orders:write; a token lives to the millisecond
//   /api/rounded      the same, but the library says whether a token lives: it counts whole seconds, down to one too few
//   /control/state    what each client did so far; /control/revoke and /control/outage change the course of a test
// The first line on stdout is a JSON object that says where they are. The process ends when its stdin closes or on SIGTERM.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

import { answer, clientNamedBy, endWithTheTests, introduce, keepStdoutClean } from './wire.mjs';

keepStdoutClean();

const clients = Object.values(JSON.parse(readFileSync(new URL('clients.json', import.meta.url), 'utf8')));
const registered = new Map(clients.map((client) => [client.client_id, client]));
const byClient = new Map();
let outage = false;

function bookOf(clientId) {
  if (!byClient.has(clientId)) {
    byClient.set(clientId, { token_requests: [], api_calls: [], tokens: [] });
  }
  return byClient.get(clientId);
}

function ownerOf(token) {
  return [...byClient.values()].find((book) => book.tokens.some((known) => known.value === token));
}

function lifetimeFor(clientId) {
  const { lifetime_s: first, later_lifetime_s: later } = registered.get(clientId);
  return bookOf(clientId).tokens.length ? (later ?? first) : first;
}

function configuration() {
  return {
    clients: clients.map(({ client_id, client_secret, auth_method, scope }) => ({
      client_id,
      client_secret,
      scope,
      token_endpoint_auth_method: auth_method,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    scopes: [...new Set(clients.flatMap((client) => client.scope.split(' ')))],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
    },
    ttl: { ClientCredentials: (ctx, token, client) => lifetimeFor(client.clientId) },
  };
}

async function keepTheBooks(ctx, next) {
  await next();
  if (ctx.path !== '/token') {
    return;
  }
  const book = bookOf(clientNamedBy(ctx) ?? '(nobody)');
  book.token_requests.push({
    status: ctx.status,
    error: ctx.body?.error ?? null,
    sent_as: ctx.headers.authorization === undefined ? 'client_secret_post' : 'client_secret_basic',
  });
  if (ctx.body?.access_token) {
    book.tokens.push({ value: ctx.body.access_token, endsAt: Date.now() + ctx.body.expires_in * 1000 });
  }
}

async function serveApi(provider, request, response, url) {
  const [scheme, value] = (request.headers.authorization ?? '').split(' ');
  if (scheme.toLowerCase() !== 'bearer' || !value) {
    answer(response, 401, { error: 'no token' }, { 'www-authenticate': 'Bearer realm="shop"' });
    return;
  }
  const token = await provider.ClientCredentials.find(value, { ignoreExpiration: true });
  const issued = ownerOf(value)?.tokens.find((known) => known.value === value);
  const lives = token && (url.pathname === '/api/rounded' ? token.isValid : Date.now() < issued.endsAt);
  const needed = url.pathname.endsWith('/write') ? 'orders:write' : 'orders:read';
  let status = 200;
  if (!lives) {
    status = 401;
    answer(response, 401, { error: 'invalid_token' }, {
      'www-authenticate': 'Bearer realm="shop", error="invalid_token", error_description="the token has expired or was revoked"',
    });
  } else if (!(token.scope ?? '').split(' ').includes(needed)) {
    status = 403;
    answer(response, 403, { error: 'insufficient_scope' }, {
      'www-authenticate': `Bearer realm="shop", error="insufficient_scope", scope="${needed}"`,
    });
  } else {
    answer(response, 200, { client_id: token.clientId, scope: token.scope, orders: [{ id: 1 }, { id: 2 }] });
  }
  const fingerprint = createHash('sha256').update(value).digest('hex').slice(0, 12);
  ownerOf(value)?.api_calls.push({ path: url.pathname, status, token: fingerprint });
}

async function serveControl(provider, request, response, url) {
  const book = bookOf(url.searchParams.get('client') ?? '(nobody)');
  if (url.pathname === '/control/state') {
    answer(response, 200, { token_requests: book.token_requests, api_calls: book.api_calls });
  } else if (url.pathname === '/control/revoke' && request.method === 'POST') {
    const found = (await Promise.all(book.tokens.map(({ value }) => provider.ClientCredentials.find(value)))).filter(Boolean);
    await Promise.all(found.map((token) => token.destroy()));
    answer(response, 200, { revoked: found.length });
  } else if (url.pathname === '/control/outage' && request.method === 'POST') {
    outage = url.searchParams.get('is') === 'on';
    answer(response, 200, { outage });
  } else {
    answer(response, 404, { error: 'no such control' });
  }
}

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration());
  provider.use(keepTheBooks);
  const authorizationServer = provider.callback();

  server.on('request', (request, response) => {
    const url = new URL(request.url, issuer);
    const failed = (error) => {
      console.error(error);
      answer(response, 500, { error: 'server_error' });
    };
    if (url.pathname.startsWith('/api/')) {
      serveApi(provider, request, response, url).catch(failed);
    } else if (url.pathname.startsWith('/control/')) {
      serveControl(provider, request, response, url).catch(failed);
    } else if (outage && url.pathname === '/token') {
      answer(response, 503, { error: 'temporarily_unavailable' });
    } else {
      authorizationServer(request, response);
    }
  });
  introduce({ issuer });
});
endWithTheTests(server);
