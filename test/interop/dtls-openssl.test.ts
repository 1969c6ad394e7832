import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../src/base/addresses.ts';
import { systemClock } from '../../src/base/clock.ts';
import { Driver } from '../../src/base/driver.ts';
import { bindUdp, type DatagramSocket } from '../../src/base/udp.ts';
import { DtlsConnection, type DtlsOptions, type DtlsOutput } from '../../src/webrtc/dtls/dtls-connection.ts';
import { fingerprintOf } from '../../src/webrtc/dtls/fingerprint.ts';
import { createIdentity } from '../../src/webrtc/dtls/identity.ts';
import type { DtlsRole } from '../../src/webrtc/dtls/key-schedule.ts';
import type { SrtpProfile } from '../../src/webrtc/srtp/profile.ts';
import { describePeer, requiredPeer } from '../support/peers.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { EventLog } from '../support/wait.ts';

const DEADLINE_MS = 20_000;
const OPENSSL_NAMES: Record<SrtpProfile, string> = {
  AES128_CM_HMAC_SHA1_80: 'SRTP_AES128_CM_SHA1_80',
  AES128_CM_HMAC_SHA1_32: 'SRTP_AES128_CM_SHA1_32',
  AEAD_AES_128_GCM: 'SRTP_AEAD_AES_128_GCM',
};
const NEW_KEY = {
  ecdsa: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'ecdsa-p384': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  rsa: ['rsa:2048'],
} as const;
type KeyKind = keyof typeof NEW_KEY;

const identity = createIdentity(systemClock.wallclock());
let folder: string;

/** The certificate that openssl made for itself. */
function fingerprintOfOpenssl(kind: KeyKind) {
  return fingerprintOf(new X509Certificate(readFileSync(join(folder, `${kind}.pem`))).raw);
}

function certificateArguments(kind: KeyKind): string[] {
  return ['-cert', join(folder, `${kind}.pem`), '-key', join(folder, `${kind}.key`)];
}

/** An openssl with its lines, and a way to type into it. */
class Openssl {
  readonly lines = new EventLog<string>();
  readonly #process: ChildProcessWithoutNullStreams;

  constructor(args: readonly string[]) {
    this.#process = spawn(requiredPeer('openssl'), args, { stdio: 'pipe' });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
    }
  }

  type(line: string): void {
    this.#process.stdin.write(`${line}\n`);
  }

  async keyingMaterial(): Promise<string> {
    const line = await this.lines.find((each) => each.includes('Keying material: '), DEADLINE_MS, 'keying material');
    return line.split(': ')[1]!.trim().toLowerCase();
  }

  stop(): void {
    this.#process.kill('SIGKILL');
  }
}

/** One of our connections on a socket of its own; it talks to whoever talks to it. */
class Ours {
  readonly events = new EventLog<DtlsOutput>();
  readonly connection: DtlsConnection;
  readonly driver: Driver<DtlsOutput>;
  readonly socket: DatagramSocket;
  #to: Endpoint | undefined;

  constructor(socket: DatagramSocket, options: DtlsOptions, to?: Endpoint) {
    this.socket = socket;
    this.#to = to;
    this.connection = new DtlsConnection(options);
    this.driver = new Driver(systemClock, this.connection, (output) => {
      if (output.type !== 'datagram') this.events.push(output);
      else if (this.#to) socket.send(output.bytes, this.#to);
    });
    socket.onDatagram = (datagram, from) => {
      this.#to = from;
      this.driver.run((now) => this.connection.handleDatagram(datagram, now));
    };
    this.driver.run((now) => this.connection.start(now));
  }

  /** What openssl exports: client key, server key, client salt, server salt. */
  async keyingMaterial(): Promise<string> {
    const event = await this.events.find(({ type }) => type === 'connected' || type === 'failed', DEADLINE_MS, 'the handshake to end');
    if (event.type !== 'connected') throw new Error(JSON.stringify(event));
    const { localKey, remoteKey, localSalt, remoteSalt } = event.srtp;
    const isClient = this.connection.role === 'client';
    const parts = isClient ? [localKey, remoteKey, localSalt, remoteSalt] : [remoteKey, localKey, remoteSalt, localSalt];
    return Buffer.concat(parts).toString('hex');
  }

  stop(): void {
    this.driver.stop();
    this.socket.close();
  }
}

const running: { stop(): void }[] = [];
afterEach(() => {
  for (const each of running.splice(0)) each.stop();
});

interface Meeting {
  readonly role: DtlsRole;
  readonly kind: KeyKind;
  readonly profile?: SrtpProfile;
  readonly options?: Partial<DtlsOptions>;
  readonly openssl?: readonly string[];
}

/** Brings the two together, we in the given role. */
async function meet({ role, kind, profile = 'AES128_CM_HMAC_SHA1_80', options = {}, openssl = [] }: Meeting) {
  const length = profile === 'AES128_CM_HMAC_SHA1_80' ? '60' : '56';
  const common = ['-dtls1_2', ...certificateArguments(kind), '-use_srtp', OPENSSL_NAMES[profile], '-timeout', '-mtu', '1200'];
  const exports = ['-keymatexport', 'EXTRACTOR-dtls_srtp', '-keymatexportlen', length];
  const settings = { role, identity, remoteFingerprints: [fingerprintOfOpenssl(kind)], srtpProfiles: [profile], ...options };
  const socket = await bindUdp({ address: '127.0.0.1', port: 0 });
  if (role === 'server') {
    const ours = new Ours(socket, settings);
    const theirs = new Openssl(['s_client', '-connect', `127.0.0.1:${socket.local.port}`, ...common, ...exports, ...openssl]);
    running.push(ours, theirs);
    return { ours, theirs };
  }
  const theirs = new Openssl(['s_server', '-accept', '127.0.0.1:0', '-Verify', '1', ...common, ...exports, ...openssl]);
  running.push(theirs);
  const accept = await theirs.lines.find((line) => line.startsWith('ACCEPT '), DEADLINE_MS, 's_server to listen');
  const ours = new Ours(socket, settings, { address: '127.0.0.1', port: Number(accept.split(':').at(-1)) });
  running.push(ours);
  return { ours, theirs };
}

describePeer('openssl', 'DTLS with openssl', () => {
  beforeAll(() => {
    folder = tempFolder('dtls');
    for (const [kind, key] of Object.entries(NEW_KEY)) {
      const files = ['-keyout', join(folder, `${kind}.key`), '-out', join(folder, `${kind}.pem`)];
      execFileSync(requiredPeer('openssl'), ['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=peer', '-newkey', ...key, ...files], {
        stdio: 'ignore',
      });
    }
  });

  it('our own certificate is one that openssl reads and verifies', () => {
    const file = join(folder, 'ours.pem');
    const certificate = new X509Certificate(identity.certificate);
    writeFileSync(file, certificate.toString());
    const text = execFileSync(requiredPeer('openssl'), ['x509', '-in', file, '-noout', '-text'], { encoding: 'utf8' });
    expect(text).toContain('ecdsa-with-SHA256');
    expect(text).toContain('NIST CURVE: P-256');
    expect(execFileSync(requiredPeer('openssl'), ['verify', '-CAfile', file, file], { encoding: 'utf8' })).toContain('OK');
    expect(certificate.fingerprint256).toBe(identity.fingerprint.value);
  });

  describe.each([
    ['client', 'ecdsa'],
    ['client', 'rsa'],
    ['server', 'ecdsa'],
    ['server', 'ecdsa-p384'],
    ['server', 'rsa'],
  ] as const)('as %s, with a peer whose key is %s', (role, kind) => {
    it.each(['AES128_CM_HMAC_SHA1_80', 'AEAD_AES_128_GCM'] as const)('agrees on the keys of %s, and carries data', async (profile) => {
      const { ours, theirs } = await meet({ role, kind, profile });
      const material = await ours.keyingMaterial();
      expect(await theirs.keyingMaterial()).toBe(material);
      expect(theirs.lines.all.some((line) => line.includes(`SRTP Extension negotiated, profile=${OPENSSL_NAMES[profile]}`))).toBe(true);
      // s_server does not say; our client would not have connected without it.
      if (role === 'server') await theirs.lines.find((line) => line.includes('Extended master secret: yes'), DEADLINE_MS, 'RFC 7627');

      theirs.type('typed at openssl');
      const data = await ours.events.find(({ type }) => type === 'data', DEADLINE_MS, 'data from openssl');
      expect(data.type === 'data' && data.bytes.toString()).toBe('typed at openssl\n');
      ours.driver.run(() => ours.connection.send(Buffer.from('sent by us\n')));
      await theirs.lines.find((line) => line.includes('sent by us'), DEADLINE_MS, 'our data at openssl');

      // s_server closes without a word, but says when it is told.
      if (role === 'client') {
        ours.driver.run(() => ours.connection.close());
        await theirs.lines.find((line) => line === 'DONE', DEADLINE_MS, 'our close_notify at openssl');
        return;
      }
      theirs.type('Q');
      const end = await ours.events.find(({ type }) => type === 'closed', DEADLINE_MS, 'close_notify');
      expect(end).toEqual({ type: 'closed', reason: 'peer' });
    });
  });

  it.each(['client', 'server'] as const)('as %s, refuses a certificate that the SDP does not name', async (role) => {
    const { ours } = await meet({ role, kind: 'ecdsa', options: { remoteFingerprints: [fingerprintOfOpenssl('rsa')] } });
    const end = await ours.events.find(({ type }) => type !== 'datagram', 2500, 'the refusal');
    expect(end).toMatchObject({ type: 'failed', reason: 'fingerprint' });
  });

  it.each([
    // Without P-256 among its groups openssl does not take our certificate.
    ['client', 'P-256'],
    ['client', 'X25519:P-256'],
    ['server', 'P-256'],
    ['server', 'X25519:P-256'],
  ] as const)('as %s, agrees over %s', async (role, groups) => {
    const { ours, theirs } = await meet({ role, kind: 'rsa', openssl: ['-groups', groups, ...(role === 'client' ? ['-serverpref'] : [])] });
    expect(await theirs.keyingMaterial()).toBe(await ours.keyingMaterial());
  });

  it('answers a server that asks for a cookie first', async () => {
    const { ours, theirs } = await meet({ role: 'client', kind: 'ecdsa', openssl: ['-listen'] });
    expect(await theirs.keyingMaterial()).toBe(await ours.keyingMaterial());
  });

  it('fits its flights to a small MTU, and reads small fragments', async () => {
    for (const role of ['client', 'server'] as const) {
      const { ours, theirs } = await meet({ role, kind: 'rsa', options: { mtu: 256 }, openssl: ['-mtu', '300'] });
      expect(await theirs.keyingMaterial()).toBe(await ours.keyingMaterial());
    }
  });
});
