// What the servers of these tests have in common: answers, whom a token request names, and how a process ends.
export function answer(response, status, body, headers = {}) {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers });
  response.end(text);
}

export function clientNamedBy(ctx) {
  const { authorization } = ctx.headers;
  if (authorization === undefined) {
    return ctx.oidc?.params?.client_id;
  }
  const [id] = Buffer.from(authorization.split(' ')[1] ?? '', 'base64').toString('utf8').split(':');
  return decodeURIComponent(id.replace(/\+/g, '%20'));
}

// The library greets on stdout, which belongs to the one line that the tests read.
export function keepStdoutClean() {
  console.info = console.error;
}

export function introduce(facts) {
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}

// The process ends when its stdin closes, as it does when the tests are killed, or on SIGTERM.
export function endWithTheTests(...servers) {
  const stop = () => {
    servers.forEach((server) => server.close().closeAllConnections());
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.stdin.on('end', stop).on('close', stop).resume();
}
