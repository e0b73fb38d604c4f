// An API that looks at everything which RFC 6750, 8705, 8707 and 9449 tell it to look at:
//   /api/…      wants an opaque token for no resource in particular
//   /orders/…   wants a JWT whose audience it is; /billing/… an opaque token whose audience it is
// Opaque tokens are introspected over HTTPS, JWTs verified by the authorization server's keys. A token that is bound to a
// certificate or a key is taken only with that. What a client is held to besides stands in its policy:
//   api_nonce   "lasting": proofs hold the API's nonce; "single-use": a new one each time, the next in each answer
import { createHash, randomBytes } from 'node:crypto';
import { request as httpsRequest } from 'node:https';

import { calculateJwkThumbprint, createLocalJWKSet, decodeProtectedHeader, EmbeddedJWK, jwtVerify } from 'jose';

import { answer } from './wire.mjs';

const PROOF_AGE_S = 60;
const PROOF_ALGORITHMS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'RS256', 'PS256'];

class Refused extends Error {
  constructor(error, reason, status = 401) {
    super(reason);
    Object.assign(this, { error, status });
  }
}

const base64url = (text) => createHash('sha256').update(text).digest('base64url');

export function thumbprintOf(socket) {
  const certificate = socket.getPeerX509Certificate?.();
  return certificate ? base64url(certificate.raw) : null;
}

export class ProtectedApi {
  #seenProofs = new Set();

  #nonces = new Map();

  constructor({ issuer, keys, resources, introspection, policyOf, bookOf }) {
    Object.assign(this, { issuer, resources, introspection, policyOf, bookOf, keys: createLocalJWKSet(keys) });
  }

  async handle(request, response, url) {
    const [, name] = url.pathname.split('/');
    const call = { path: url.pathname, status: 200, reason: null, scheme: null, nonce: null, proof: null };
    let clientId = '(nobody)';
    let headers = {};
    try {
      const { scheme, value } = presentedToken(request);
      call.scheme = scheme;
      call.certificate = thumbprintOf(request.socket);
      call.token = base64url(value).slice(0, 12);
      const claims = isJwt(value) ? await this.#verified(value) : await this.introspection(value);
      clientId = claims.client_id;
      this.#checkAudience(value, claims, name);
      headers = await this.#checkBinding({ request, url, scheme, value, claims, call });
      if (!(claims.scope ?? '').split(' ').includes('orders:read')) {
        throw new Refused('insufficient_scope', 'this needs orders:read', 403);
      }
      this.#serve(url, response, claims, headers);
    } catch (error) {
      if (!(error instanceof Refused)) {
        throw error;
      }
      Object.assign(call, { status: error.status, reason: error.message });
      headers = { ...headers, ...error.headers, 'www-authenticate': challenge(call.scheme, error) };
      answer(response, error.status, { error: error.error, error_description: error.message }, headers);
    }
    this.bookOf(clientId).api_calls.push(call);
  }

  #serve(url, response, claims, headers) {
    const [, name, what] = url.pathname.split('/');
    const page = Number(url.searchParams.get('page') ?? 1);
    if (what === 'moved') {
      answer(response, 307, {}, { ...headers, location: `/${name}/list` });
      return;
    }
    const link = what === 'pages' && page < 3 ? { link: `<${url.origin}/${name}/pages?page=${page + 1}>; rel="next"` } : {};
    const body = { client_id: claims.client_id, aud: claims.aud ?? null, cnf: claims.cnf ?? null, details: claims.authorization_details };
    answer(response, 200, what === 'pages' ? [{ page }] : body, { ...headers, ...link });
  }

  #checkAudience(value, claims, name) {
    const wanted = this.resources[name];
    if (claims.aud !== wanted?.audience || isJwt(value) !== (wanted?.format === 'jwt')) {
      throw new Refused('invalid_token', `the token is for ${claims.aud ?? 'no resource'}, not for ${wanted?.audience ?? 'none'}`);
    }
  }

  async #verified(value) {
    try {
      const { payload } = await jwtVerify(value, this.keys, { issuer: this.issuer, typ: 'at+jwt', requiredClaims: ['exp', 'aud'] });
      return payload;
    } catch (error) {
      throw new Refused('invalid_token', `the JWT is not good: ${error.message}`);
    }
  }

  async #checkBinding({ request, url, scheme, value, claims, call }) {
    const { jkt, 'x5t#S256': certificate } = claims.cnf ?? {};
    if (certificate !== undefined && certificate !== call.certificate) {
      throw new Refused('invalid_token', 'the token is bound to another certificate');
    }
    if ((jkt !== undefined) !== (scheme === 'dpop')) {
      throw new Refused('invalid_token', `this token does not go with the scheme ${scheme}`);
    }
    return jkt === undefined ? {} : this.#checkProof({ request, url, value, claims, call });
  }

  async #checkProof({ request, url, value, claims, call }) {
    const proofs = headersOf(request, 'dpop');
    if (proofs.length !== 1) {
      throw new Refused('invalid_dpop_proof', `${proofs.length} proofs`);
    }
    const { payload, protectedHeader } = await verifiedProof(proofs[0]);
    Object.assign(call, { nonce: payload.nonce ?? null, proof: payload.jti });
    const wanted = {
      jkt: [await calculateJwkThumbprint(protectedHeader.jwk), claims.cnf.jkt],
      htm: [payload.htm, request.method],
      htu: [payload.htu, `${url.origin}${url.pathname}`],
      ath: [payload.ath, base64url(value)],
    };
    const wrong = Object.keys(wanted).find((member) => wanted[member][0] !== wanted[member][1]);
    if (wrong !== undefined) {
      throw new Refused('invalid_dpop_proof', `${wrong} is wrong`);
    }
    if (typeof payload.iat !== 'number' || Math.abs(Date.now() / 1000 - payload.iat) > PROOF_AGE_S) {
      throw new Refused('invalid_dpop_proof', 'iat is not recent');
    }
    if (typeof payload.jti !== 'string' || this.#seenProofs.has(payload.jti)) {
      throw new Refused('invalid_dpop_proof', 'the proof was used before');
    }
    this.#seenProofs.add(payload.jti);
    return this.#checkNonce(payload.nonce, claims.client_id);
  }

  // A nonce is the API's own: those of the authorization server are none here.
  #checkNonce(nonce, clientId) {
    const policy = this.policyOf(clientId).api_nonce;
    if (policy === undefined) {
      return {};
    }
    const good = this.#nonces.get(clientId) ?? randomBytes(12).toString('base64url');
    const next = policy === 'lasting' ? good : randomBytes(12).toString('base64url');
    this.#nonces.set(clientId, next);
    if (nonce !== good) {
      throw Object.assign(new Refused('use_dpop_nonce', 'the proof needs the nonce'), { headers: { 'dpop-nonce': next } });
    }
    return policy === 'lasting' ? {} : { 'dpop-nonce': next };
  }
}

export function introspectionBy({ endpoint, client, ca }) {
  const authorization = `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')}`;
  return async (token) => {
    const claims = await posted(endpoint, { authorization }, new URLSearchParams({ token }).toString(), ca);
    if (claims.active !== true) {
      throw new Refused('invalid_token', 'the token is not active');
    }
    return claims;
  };
}

function presentedToken(request) {
  const presented = headersOf(request, 'authorization');
  const [, scheme, value] = /^(bearer|dpop) ([\x21-\x7e]+)$/i.exec(presented[0] ?? '') ?? [];
  if (presented.length !== 1 || value === undefined) {
    throw new Refused(undefined, `${presented.length} tokens`);
  }
  return { scheme: scheme.toLowerCase(), value };
}

function headersOf(request, name) {
  return request.rawHeaders.filter((_, index, all) => index % 2 === 1 && all[index - 1].toLowerCase() === name);
}

async function verifiedProof(proof) {
  try {
    return await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', algorithms: PROOF_ALGORITHMS });
  } catch (error) {
    throw new Refused('invalid_dpop_proof', `the proof is not good: ${error.message}`);
  }
}

// Both schemes in one header, as RFC 9449 §7.1 shows it; the error stands with the one that was used.
function challenge(scheme, { error, message }) {
  const said = error === undefined ? '' : `, error="${error}", error_description="${message.replaceAll('"', "'")}"`;
  const algorithms = `algs="${PROOF_ALGORITHMS.join(' ')}"`;
  return scheme === 'dpop' ? `Bearer realm="shop", DPoP ${algorithms}${said}` : `Bearer realm="shop"${said}, DPoP ${algorithms}`;
}

function isJwt(value) {
  try {
    return Boolean(decodeProtectedHeader(value));
  } catch {
    return false;
  }
}

function posted(endpoint, headers, body, ca) {
  return new Promise((resolve, reject) => {
    const all = { ...headers, 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) };
    const sent = httpsRequest(endpoint, { method: 'POST', ca, headers: all }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk)).on('error', reject);
      response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString('utf8'))));
    });
    sent.on('error', reject).end(body);
  });
}
