import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import { createLog } from '../../../../src/base/log.ts';
import { issueCertificate } from '../../../../src/control/x509.ts';
import { DrachtioLink } from '../../../../src/sip/drachtio/drachtio-link.ts';
import { EventLog, eventually } from '../../../support/wait.ts';

const SECRET = 'k33p-0ut';

describe('the connection to a drachtio server', () => {
  const stops: (() => void)[] = [];
  afterEach(() => {
    for (const stop of stops.splice(0)) stop();
  });

  /** A server that reads the first bytes of each connection and breaks it off. */
  async function breaker(): Promise<{ readonly port: number; readonly first: EventLog<Buffer> }> {
    const first = new EventLog<Buffer>();
    const server = createServer((socket: Socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (bytes) => {
        first.push(bytes);
        socket.destroy();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    stops.push(() => server.close());
    const at = server.address();
    return { port: at !== null && typeof at !== 'string' ? at.port : 0, first };
  }

  async function linkTo(port: number, serverCa?: string): Promise<void> {
    const deps = { clock: systemClock, log: createLog('silent'), onRequest: () => undefined, onLost: () => undefined };
    const servers = [{ address: '127.0.0.1', port }];
    const options = { mayConnect: () => false, servers, secret: SECRET, ...(serverCa === undefined ? {} : { serverCa }) };
    const link = new DrachtioLink(deps, options);
    await link.start();
    stops.push(() => link.stop());
  }

  test('that was asked to be TLS is TLS each time it is tried again, and nobody hears the secret', async () => {
    const { port, first } = await breaker();
    await linkTo(port, '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n');
    for (let tries = 0; tries < 3; tries += 1) await first.next(() => true, 5000, 'a connection');
    for (const bytes of first.all) {
      expect(bytes[0], 'a TLS handshake').toBe(0x16);
      expect(bytes.toString('latin1')).not.toContain(SECRET);
    }
  });

  test.each([
    ['trusted', true],
    ['not trusted', false],
  ])('says the secret to a server whose certificate is %s: %s', async (_which, trusted) => {
    const issued = issueCertificate(['127.0.0.1'], Date.now());
    const heard = new EventLog<string>();
    const tries = new EventLog<true>();
    const server = createTlsServer({ cert: issued.certificate, key: issued.privateKey }, (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => heard.push(bytes.toString('latin1')));
    });
    server.on('connection', () => tries.push(true));
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stops.push(() => server.close());
    const at = server.address();
    await linkTo(at !== null && typeof at !== 'string' ? at.port : 0, trusted ? issued.ca : issueCertificate(['127.0.0.1'], Date.now()).ca);
    if (trusted) expect(await heard.find(() => true, 5000, 'the secret')).toContain(`|authenticate|${SECRET}|`);
    else {
      await eventually(() => tries.count >= 3, 5000, 'three tries');
      expect(heard.all).toEqual([]);
    }
  });

  test('that was not is tried again as well', async () => {
    const { port, first } = await breaker();
    await linkTo(port);
    for (let tries = 0; tries < 3; tries += 1) await first.next(() => true, 5000, 'a connection');
    expect(first.all.every((bytes) => bytes.toString('latin1').includes(`|authenticate|${SECRET}|`))).toBe(true);
  });
});
