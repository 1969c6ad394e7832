import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SessionState } from 'sip.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueCertificate } from '../../src/control/x509.ts';
import type { LogLine } from '../support/gateway-process.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { Lateness } from '../support/lateness.ts';
import type { DialOptions, PhoneCall } from '../support/phone-call.ts';
import { SocketWire, TlsWire } from '../support/phone-wire.ts';
import { SipJsPhone, stateOf } from '../support/sip-js-phone.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { eventually } from '../support/wait.ts';

/* Calls over TLS, WS and WSS, side by side in one gateway, whose certificate is exchanged while they last. */

const NAMES = ['localhost', '127.0.0.1'];
let folder: string;
let gateway: GatewayUnderTest;
let lateness: Lateness;
let ca: string;
const closing: (() => void | Promise<void>)[] = [];

/** Puts another certificate where the gateway looks for its own. @returns the authority to trust */
function renew(): string {
  const issued = issueCertificate(NAMES, Date.now());
  writeFileSync(join(folder, 'cert.pem'), issued.certificate);
  writeFileSync(join(folder, 'key.pem'), issued.privateKey);
  return issued.ca;
}

beforeAll(async () => {
  folder = tempFolder('edge');
  lateness = new Lateness();
  ca = renew();
  const flags = [
    '--tls-cert',
    join(folder, 'cert.pem'),
    '--tls-key',
    join(folder, 'key.pem'),
    '--sip-tls-port',
    '0',
    '--media-timeout',
    '3',
  ];
  gateway = await gatewayUnderTest({ flags });
});

afterAll(async () => {
  for (const close of closing) await close();
  await gateway.stop();
  lateness.stop();
  removeFolder(folder);
});

async function tlsPhone(authority = ca): Promise<{ readonly phone: SipPhone; readonly wire: TlsWire }> {
  const wire = await TlsWire.open(gateway.sips, { ca: authority, servername: 'localhost' });
  const phone = await SipPhone.open({ wire, transport: 'TLS', uriParameters: ';transport=tls', retransmit: false });
  closing.push(() => phone.close());
  return { phone, wire };
}

async function socketPhone(options: Parameters<typeof SocketWire.open>[1], transport: 'WS' | 'WSS'): Promise<SipPhone> {
  const wire = await SocketWire.open(gateway.http, options);
  const phone = await SipPhone.open({ wire, transport, host: 'df7jal23ls0d.invalid', uriParameters: ';transport=ws', retransmit: false });
  closing.push(() => phone.close());
  return phone;
}

async function answered(phone: SipPhone, options: DialOptions = {}): Promise<PhoneCall> {
  const call = await phone.dial(gateway.sips, options);
  await call.answered();
  return call;
}

describe('a gateway with a certificate', () => {
  test('answers over TLS, WS and WSS, keeps to each connection in both directions, and changes its certificate meanwhile', async () => {
    const { phone, wire } = await tlsPhone();
    const ws = await socketPhone({}, 'WS');
    const wss = await socketPhone({ ca, binary: true }, 'WSS');
    const web = await SipJsPhone.open(gateway.http, ca);
    closing.push(() => web.close());
    const [secure, plain, binary, session] = await Promise.all([
      answered(phone, { uri: `sips:agent@127.0.0.1:${gateway.sips.port}`, talk: false }),
      answered(ws, { uri: 'sip:agent@gateway.invalid;transport=ws' }),
      answered(wss, { uri: 'sips:agent@gateway.invalid', talk: false }),
      web.call('sip:agent@gateway.invalid'),
    ]);
    const contact = (call: PhoneCall): string => call.responses.all.find(({ status }) => status === 200)?.header('contact') ?? '';
    expect(contact(secure)).toBe(`<sips:127.0.0.1:${gateway.sips.port}>`);
    expect(contact(plain)).toMatch(/^<sip:127\.0\.0\.1:\d+;transport=ws>$/);
    expect(contact(binary)).toMatch(/^<sips:127\.0\.0\.1:\d+;transport=ws>$/);

    const before = ca;
    ca = renew();
    const inUse = (line: LogLine): boolean => line.msg === 'new certificate in use' && line['certificate'] === 'sip';
    await gateway.log.find(inUse, 2000 + (await lateness.soFar()), 'the new certificate');
    // Whoever comes now is shown the new one, and it alone.
    await expect(TlsWire.open(gateway.sips, { ca: before, servername: 'localhost' })).rejects.toThrow('unable to verify');
    const late = await tlsPhone();
    const lateCall = await answered(late.phone);

    // The old connections carry on in both directions.
    expect(wire.open).toBe(true);
    expect((await phone.ask('OPTIONS', gateway.sips)).status).toBe(200);
    for (const call of [plain, lateCall]) expect((await call.bye()).status).toBe(200);
    await session.bye();
    await stateOf(session, SessionState.Terminated);
    const again = await web.call('sip:agent@gateway.invalid');
    // Who sends no sound is hung up on, by the way the call came.
    const byes = [phone, wss].map((each) =>
      each.messages.find(({ direction, message }) => direction === 'in' && message.method === 'BYE', 8000, 'a BYE'),
    );
    await Promise.all(byes);
    await stateOf(again, SessionState.Terminated);
    const seen = phone.seen('in', ({ method }) => method === 'BYE')[0]?.message;
    expect(seen?.header('via')).toMatch(/^SIP\/2\.0\/TLS 127\.0\.0\.1/);
    await eventually(async () => (await gateway.metrics()).sum('ringdown_sip_dialogs') === 0, 5000, 'all calls to be gone');
    const metrics = await gateway.metrics();
    expect(metrics.sum('ringdown_tls_certificate_expiry_seconds')).toBeGreaterThan(86_400);
  });
});
