import { randomBytes, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { createIdentity, type Identity } from '../../../src/webrtc/dtls/identity.ts';
import type { SrtpMaster } from '../../../src/webrtc/srtp/profile.ts';
import { SrtpReceiver } from '../../../src/webrtc/srtp/srtp-receiver.ts';
import { SrtpSender } from '../../../src/webrtc/srtp/srtp-sender.ts';
import { plainRecord } from '../../support/dtls-forgery.ts';
import { elapse, eventually, within } from '../../support/wait.ts';

/*
 * Why DTLS and SRTP are ours (docs/decisions/): each test shows a hole of the pinned werift. A test that fails after an
 * update says that this hole is closed, and that the decision can be looked at again.
 */

const FIXED = 'werift has fixed this: see docs/decisions/';

type Werift = typeof import('werift');
type Pipe = ConstructorParameters<Werift['DtlsServer']>[0]['transport'];
let werift: Werift;

/** Two transports that carry datagrams to each other within the process. */
function pipes(): [Pipe, Pipe] {
  const make = (other: () => Pipe): Pipe => ({
    type: 'udp',
    address: { address: '127.0.0.1', port: 1, family: 'IPv4' },
    closed: false,
    onData: () => undefined,
    async send(data) {
      const copy = Buffer.from(data);
      setImmediate(() => other().onData(copy, ['127.0.0.1', 1]));
    },
    async close() {},
  });
  const left: Pipe = make(() => right);
  const right: Pipe = make(() => left);
  return [left, right];
}

function pemOf({ certificate, privateKey }: Identity) {
  return { cert: new X509Certificate(certificate).toString(), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

async function connect(clientIdentity: Identity, serverIdentity: Identity) {
  const [left, right] = pipes();
  const options = { signatureHash: { hash: 4, signature: 3 } as const, srtpProfiles: [1 as const], extendedMasterSecret: true };
  const server = new werift.DtlsServer({ ...options, ...pemOf(serverIdentity), transport: right, certificateRequest: true });
  const client = new werift.DtlsClient({ ...options, ...pemOf(clientIdentity), transport: left });
  const connected = Promise.all([server, client].map((side) => new Promise<void>((resolve) => side.onConnect.subscribe(() => resolve()))));
  await client.connect();
  return { client, server, left, right, connected };
}

function rtp(sequence: number): Buffer {
  const packet = Buffer.alloc(52, sequence);
  packet[0] = 0x80;
  packet[1] = 111;
  packet.writeUInt16BE(sequence & 0xffff, 2);
  packet.writeUInt32BE(0x1234, 8);
  return packet;
}

function weriftReceiver({ key, salt }: SrtpMaster) {
  const keys = { localMasterKey: key, localMasterSalt: salt, remoteMasterKey: key, remoteMasterSalt: salt };
  return new werift.SrtpSession({ keys, profile: 1 });
}

/** The packet, or undefined when werift did not take it. */
function opened(receiver: InstanceType<Werift['SrtpSession']>, sealed: Buffer): Buffer | undefined {
  try {
    return receiver.decrypt(Buffer.from(sealed));
  } catch {
    return undefined;
  }
}

describe('the werift that is installed', () => {
  const victim = createIdentity(1_700_000_000_000);
  const honest = createIdentity(1_700_000_000_000);
  const thief: Identity = { ...victim, privateKey: createIdentity(1_700_000_000_000).privateKey };

  beforeAll(async () => {
    werift = await import('werift');
  });

  it('as DTLS server authenticates nobody: a stolen certificate with another key connects', async () => {
    const { server, connected } = await connect(thief, honest);
    await within(connected, 5000, `the thief to be taken for the victim (${FIXED})`);
    expect(server.remoteCertificate?.equals(victim.certificate), FIXED).toBe(true);
  });

  it('as DTLS client authenticates nobody: a stolen certificate with another key connects', async () => {
    const { client, connected } = await connect(honest, thief);
    await within(connected, 5000, `the thief to be taken for the victim (${FIXED})`);
    expect(client.remoteCertificate?.equals(victim.certificate), FIXED).toBe(true);
  });

  it.each(['client', 'server'] as const)('as DTLS %s is closed by one unprotected alert that anybody can send', async (role) => {
    const session = await connect(honest, victim);
    await within(session.connected, 5000, 'the handshake');
    let closes = 0;
    session[role].onClose.subscribe(() => {
      closes += 1;
    });
    const transport = role === 'client' ? session.left : session.right;
    transport.onData(plainRecord(21, Buffer.of(1, 0)), ['127.0.0.1', 9]);
    await eventually(() => closes > 0, 1000, `the alert to close it (${FIXED})`);
  });

  it('delivers replayed SRTP packets; ours does not', () => {
    const master: SrtpMaster = { profile: 'AES128_CM_HMAC_SHA1_80', key: randomBytes(16), salt: randomBytes(14) };
    const sender = new SrtpSender(master);
    const theirs = weriftReceiver(master);
    const ours = new SrtpReceiver(master);
    const sealed = Array.from({ length: 40 }, (_, i) => sender.protectRtp(rtp(i + 1)));
    const count = (open: (packet: Buffer) => Buffer | undefined) => sealed.filter((packet) => open(Buffer.from(packet))).length;
    expect(count((packet) => opened(theirs, packet))).toBe(40);
    expect(
      count((packet) => opened(theirs, packet)),
      FIXED,
    ).toBe(40);
    expect(count((packet) => ours.unprotectRtp(packet))).toBe(40);
    expect(count((packet) => ours.unprotectRtp(packet))).toBe(0);
  });

  it('loses the stream for good when 3.9 s are lost over a sequence wrap; ours hears the first packet after it', () => {
    const master: SrtpMaster = { profile: 'AES128_CM_HMAC_SHA1_80', key: randomBytes(16), salt: randomBytes(14) };
    const sender = new SrtpSender(master);
    const theirs = weriftReceiver(master);
    const ours = new SrtpReceiver(master);
    for (let sequence = 65_300; sequence <= 65_420; sequence++) {
      const sealed = sender.protectRtp(rtp(sequence));
      expect(opened(theirs, sealed)).toBeDefined();
      expect(ours.unprotectRtp(sealed)).toBeDefined();
    }
    for (let sequence = 65_421; sequence < 65_616; sequence++) sender.protectRtp(rtp(sequence));
    let heardByTheirs = 0;
    for (let sequence = 65_616; sequence < 65_849; sequence++) {
      const sealed = sender.protectRtp(rtp(sequence));
      if (opened(theirs, sealed)) heardByTheirs += 1;
      expect(ours.unprotectRtp(sealed)?.equals(rtp(sequence))).toBe(true);
    }
    expect(heardByTheirs, FIXED).toBe(0);
  });

  it('leaves nothing running behind', async () => {
    // Its handshake timers run for some 100 ms after the end; a rejection in them would fail the file.
    await elapse(200);
  });
});
