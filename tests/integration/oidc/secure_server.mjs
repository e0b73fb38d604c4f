// The same certified authorization server over TLS, with every client authentication that it has, certificate-bound and
// DPoP-bound tokens, two resources, and metadata; beside it the API of protected_api.mjs. The issuer has a path, and
// certificates are asked for at a second port alone, which mtls_endpoint_aliases names (RFC 8705 §5).
// The argument is a JSON file: clients (metadata and policy each), certificate and key of the server, and the client_ca.
// A policy says what a client is held to beyond the standard:
//   audience    "issuer" or "endpoint": the only one that an assertion may be for, as text
//   x5t         the thumbprint that an assertion's header must hold
//   as_nonce    true: the token endpoint wants its nonce in a proof
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from 'jose';
import { errors, Provider } from 'oidc-provider';

import { introspectionBy, ProtectedApi, thumbprintOf } from './protected_api.mjs';
import { answer, clientNamedBy, endWithTheTests, introduce, keepStdoutClean } from './wire.mjs';

keepStdoutClean();

const MOUNT = '/shop';
const ASSERTION_AGE_S = 60;
const SCOPES = ['orders:read', 'orders:write'];
const SIGNATURES = ['RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
const OAUTH_METADATA = '/.well-known/oauth-authorization-server';
const OPENID_METADATA = '/.well-known/openid-configuration';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const policies = new Map(settings.clients.map(({ metadata, policy }) => [metadata.client_id, policy]));
const byClient = new Map();
const metadataRequests = [];
const details = new WeakMap();
const switches = { outage: false, only_openid: false };

const policyOf = (clientId) => policies.get(clientId) ?? {};

function bookOf(clientId) {
  if (!byClient.has(clientId)) {
    byClient.set(clientId, { token_requests: [], api_calls: [], revocations: [] });
  }
  return byClient.get(clientId);
}

function registered({ metadata }) {
  const fixed = { scope: SCOPES.join(' '), grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
  return { ...metadata, ...fixed };
}

function checkAssertion(ctx, claims, header, client) {
  const policy = policyOf(client.clientId);
  const audiences = { issuer: [ctx.oidc.issuer], endpoint: [ctx.oidc.urlFor('token')] };
  const allowed = audiences[policy.audience] ?? Object.values(audiences).flat();
  const age_s = Date.now() / 1000 - claims.iat;
  const wrong = [
    [!allowed.includes(claims.aud), `aud must be ${allowed.join(' or ')} as text`],
    [!(age_s >= -1 && age_s <= ASSERTION_AGE_S), 'the assertion is too old'],
    [!(claims.exp - claims.iat <= ASSERTION_AGE_S), 'the assertion lives too long'],
    [header.typ !== (policy.typ ?? 'client-authentication+jwt'), `typ ${header.typ} is wrong`],
    [policy.kid !== undefined && header.kid !== policy.kid, `kid ${header.kid} is wrong`],
    [policy.x5t !== undefined && header['x5t#S256'] !== policy.x5t, 'x5t#S256 is wrong'],
  ].find(([isSo]) => isSo);
  if (wrong !== undefined) {
    throw new errors.InvalidClientAuth(wrong[1]);
  }
}

function configuration({ origin, mtlsOrigin, resources, jwks }) {
  const endpoint = (name) => `${mtlsOrigin}${MOUNT}/token${name}`;
  return {
    clients: settings.clients.map(registered),
    jwks,
    scopes: SCOPES,
    clockTolerance: 0,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clientAuthMethods: [
      'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt',
      'tls_client_auth', 'self_signed_tls_client_auth',
    ],
    enabledJWA: {
      clientAuthSigningAlgValues: ['HS256', 'HS384', 'HS512', ...SIGNATURES],
      dPoPSigningAlgValues: SIGNATURES.filter((name) => name !== 'RS256'),
      idTokenSigningAlgValues: ['ES256'],
    },
    assertJwtClientAuthClaimsAndHeader: checkAssertion,
    discovery: {
      mtls_endpoint_aliases: {
        token_endpoint: endpoint(''),
        revocation_endpoint: endpoint('/revocation'),
        introspection_endpoint: endpoint('/introspection'),
      },
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: (ctx, client) => policyOf(client.clientId).introspects === true },
      revocation: { enabled: true, allowedPolicy: (ctx, client, token) => token.clientId === client.clientId },
      dPoP: {
        enabled: true,
        nonceSecret: randomBytes(32),
        requireNonce: (ctx) => policyOf(ctx.oidc.client?.clientId).as_nonce === true,
      },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        selfSignedTlsClientAuth: true,
        tlsClientAuth: true,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
        certificateAuthorized: (ctx) => ctx.socket.authorized,
        certificateSubjectMatches: (ctx, property, expected) =>
          property === 'tls_client_auth_subject_dn' && ctx.socket.getPeerX509Certificate().subject === expected,
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, identifier) => {
          const found = Object.values(resources).find(({ audience }) => audience === identifier);
          if (found === undefined) {
            throw new errors.InvalidTarget();
          }
          const { audience, format } = found;
          return { audience, accessTokenFormat: format, scope: SCOPES.join(' '), jwt: { sign: { alg: 'ES256' } } };
        },
      },
      richAuthorizationRequests: {
        enabled: true,
        types: { stock: { validate: () => {} } },
        authorizationDetailsForAccessToken: (ctx) => JSON.parse(ctx.oidc.params.authorization_details ?? '[]'),
        authorizationDetailsForIntrospection: (ctx, token) => token.rar,
      },
    },
    ttl: { ClientCredentials: 3600 },
    routes: { introspection: '/token/introspection', revocation: '/token/revocation' },
  };
}

// What an assertion or a proof says, by whoever may have signed it.
function saidIn(jwt) {
  try {
    return { header: decodeProtectedHeader(jwt), claims: decodeJwt(jwt) };
  } catch {
    return null;
  }
}

function sentAs(ctx, assertion) {
  if (ctx.headers.authorization !== undefined) {
    return 'client_secret_basic';
  }
  if (assertion !== undefined) {
    return assertion?.header.alg.startsWith('HS') ? 'client_secret_jwt' : 'private_key_jwt';
  }
  return ctx.oidc?.params?.client_secret === undefined ? 'certificate' : 'client_secret_post';
}

async function keepTheBooks(ctx, next) {
  await next();
  const { client_assertion: assertion, resource } = ctx.oidc?.params ?? {};
  const said = assertion === undefined ? undefined : saidIn(assertion);
  const book = bookOf(clientNamedBy(ctx) ?? said?.claims.sub ?? '(nobody)');
  const why = details.get(ctx) ?? null;
  const facts = { status: ctx.status, error: ctx.body?.error ?? null, why, sent_as: sentAs(ctx, said) };
  if (ctx.path === '/token') {
    const proof = ctx.headers.dpop === undefined ? null : saidIn(ctx.headers.dpop);
    const certificate = thumbprintOf(ctx.socket);
    book.token_requests.push({ ...facts, assertion: said ?? null, proof, certificate, resource: resource ?? null });
  } else if (ctx.path === '/token/revocation') {
    book.revocations.push({ ...facts, assertion: said ?? null });
  }
}

function serveControl(request, response, url) {
  const [, , what] = url.pathname.split('/');
  if (what === 'state') {
    answer(response, 200, bookOf(url.searchParams.get('client') ?? '(nobody)'));
  } else if (what === 'metadata_requests') {
    answer(response, 200, metadataRequests);
  } else if (what in switches && request.method === 'POST') {
    switches[what] = url.searchParams.get('is') === 'on';
    answer(response, 200, switches);
  } else {
    answer(response, 404, { error: 'no such control' });
  }
}

// The path at which the library knows what was asked for, null when it is none of its own.
function pathInLibrary(path) {
  if (path.includes('/.well-known/')) {
    metadataRequests.push(path);
  }
  // RFC 8414 §3 puts its part before the issuer's path, OpenID Connect behind it. The impostor shows the shop's document.
  for (const mount of [MOUNT, '/impostor']) {
    if (path === `${OAUTH_METADATA}${mount}`) {
      return switches.only_openid ? null : OAUTH_METADATA;
    }
    if (path === `${mount}${OPENID_METADATA}`) {
      return OPENID_METADATA;
    }
  }
  return path.startsWith(`${MOUNT}/`) && !path.includes('/.well-known/') ? path.slice(MOUNT.length) : null;
}

const tls = { key: readFileSync(settings.certificate), cert: readFileSync(settings.certificate) };
const server = createServer(tls);
const mtlsServer = createServer({ ...tls, ca: readFileSync(settings.client_ca), requestCert: true, rejectUnauthorized: false });
const [origin, mtlsOrigin] = await Promise.all([server, mtlsServer].map(async (listener) => {
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  return `https://127.0.0.1:${listener.address().port}`;
}));

const { privateKey } = await generateKeyPair('ES256', { extractable: true });
const jwk = { ...await exportJWK(privateKey), alg: 'ES256', use: 'sig', kid: 'shop' };
const resources = {
  orders: { audience: `${origin}/orders`, format: 'jwt' },
  billing: { audience: `${origin}/billing`, format: 'opaque' },
};
const issuer = `${origin}${MOUNT}`;
const provider = new Provider(issuer, configuration({ origin, mtlsOrigin, resources, jwks: { keys: [jwk] } }));
provider.use(keepTheBooks);
// The library answers "client authentication failed" and keeps the reason to itself.
provider.on('grant.error', (ctx, error) => {
  details.set(ctx, error.error_detail ?? error.cause?.message ?? error.error_description ?? error.message);
});
const authorizationServer = provider.callback();
const { metadata: apiClient } = settings.clients.find(({ policy }) => policy.introspects === true);
const { d, ...publicJwk } = jwk;
const api = new ProtectedApi({
  issuer,
  keys: { keys: [publicJwk] },
  resources,
  introspection: introspectionBy({ endpoint: `${issuer}/token/introspection`, client: apiClient, ca: readFileSync(settings.server_ca) }),
  policyOf,
  bookOf,
});

for (const listener of [server, mtlsServer]) {
  listener.on('request', (request, response) => {
    const url = new URL(request.url, `https://${request.headers.host}`);
    const path = pathInLibrary(url.pathname);
    if (url.pathname.startsWith('/control/')) {
      serveControl(request, response, url);
    } else if (switches.outage && url.pathname === `${MOUNT}/token`) {
      answer(response, 503, { error: 'temporarily_unavailable' });
    } else if (path !== null) {
      request.originalUrl = `${MOUNT}${path}`;
      request.url = path;
      authorizationServer(request, response);
    } else if (/^\/(api|orders|billing)\//.test(url.pathname)) {
      api.handle(request, response, url).catch((error) => {
        console.error(error);
        answer(response, 500, { error: 'server_error' });
      });
    } else {
      answer(response, 404, { error: 'not_found' });
    }
  });
}
introduce({ issuer, origin, mtls_origin: mtlsOrigin, resources });
endWithTheTests(server, mtlsServer);
