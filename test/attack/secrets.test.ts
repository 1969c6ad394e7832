import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AttackedGateway } from '../support/attacked-gateway.ts';
import { EgressWatch } from '../support/egress-watch.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { elapse, eventually } from '../support/wait.ts';

/** Anything a terminal obeys or a reader of lines takes for another line: C0 and C1 controls, DEL, line separators, marks that turn the direction. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

const NUMBER = '15557654321';
const PASSWORD = 'hunter2canary';

describe('a gateway without configuration', () => {
  test('looks up no name and sends nothing beyond this machine: at start, in calls, at the end', async () => {
    const watch = new EgressWatch();
    const gateway = await GatewayProcess.start({ env: watch.env });
    const phone = await SipPhone.open({ outboundProxy: gateway.sip });
    // Its Contact is a name, to which the gateway's BYE would go.
    Object.assign(phone, { uri: 'sip:phone@phone.attacker.invalid' });
    const names: [string, string][] = [
      ['Record-Route', '<sip:proxy.attacker.invalid;lr>'],
      ['Call-Info', '<http://attacker.invalid/icon>'],
      ['Identity', 'x;info=<https://attacker.invalid/cert.pem>;alg=ES256'],
      ['Alert-Info', '<http://attacker.invalid/ring.wav>'],
    ];
    const calls = await Promise.all([
      phone.dial(gateway.sip),
      phone.dial(gateway.sip, { headers: names }),
      phone.dial(gateway.sip, { uri: 'sip:agent@attacker.invalid' }),
      phone.dial(gateway.sip, { offer: { media: { address: 'attacker.invalid' } } }),
    ]);
    const [plain, routed] = calls;
    await Promise.all(calls.map((call) => call.final()));
    await phone.ask('OPTIONS', gateway.sip, { headers: names });
    await Promise.all([plain.media.press('#'), routed.media.press('#')]);
    await Promise.all([plain.hungUp(10_000), routed.hungUp(10_000)]);
    phone.close();
    expect(await gateway.stop()).toMatchObject({ code: 0 });
    const contacts = watch.contacts();
    watch.close();
    console.log(`figures: ${contacts.length} contacts with the outside`);
    expect(contacts).toEqual([]);
  });
});

describe('the log and the call records', () => {
  let gateway: AttackedGateway;
  let phone: SipPhone;
  const icePasswords: string[] = [];

  beforeAll(async () => {
    gateway = await AttackedGateway.start({ flags: ['--log-level', 'trace'] });
    phone = await SipPhone.open();
    const names = [
      '\u001b[2J\u001b]0;owned\u0007',
      'a\u009b31mb',
      'x\u202etxt.exe',
      'line\u2028{"level":60,"msg":"forged"}',
      '%n%s',
      `$\{jndi:ldap://x}`,
      'a\u007fb',
    ];
    for (const name of names) {
      const text = Buffer.from(name, 'utf8').toString('latin1');
      const call = await phone.dial(gateway.sip, {
        talk: false,
        from: `sip:+${NUMBER}:${PASSWORD}@127.0.0.1`,
        user: `+${NUMBER}`,
        callId: `${text.replace(/[\s<>"]/g, '')}@canary`,
        headers: [
          ['Subject', text],
          ['P-Asserted-Identity', `"${text}" <tel:+${NUMBER}>`],
          ['Authorization', `Digest username="u", realm="r", nonce="n", uri="sip:x", response="${PASSWORD}"`],
          ['X-Break', `a\r\nX-Injected: ${text}`],
        ],
      });
      await call.final(500).catch(() => undefined);
      await call.bye(500).catch(() => undefined);
      call.close();
    }
    for (const raw of [
      `INVITE sip:+${NUMBER}@x SIP/2.0\r\nVia: \u001b[31m\r\n\r\n`,
      `\u001b]0;x\u0007 ${NUMBER}`,
      'SIP/2.0 200 \u009b\r\nVia: x\r\n\r\n',
    ])
      phone.sendRaw(raw, gateway.sip);
    const caller = await gateway.webCaller();
    await caller.connected();
    icePasswords.push(caller.remote.pwd, caller.credentials.pwd);
    caller.close();
    await fetch(`http://127.0.0.1:${gateway.http.port}/%1b[31m?key=${PASSWORD}`, { headers: { authorization: `Bearer ${PASSWORD}` } });
    await elapse(300);
  });

  afterAll(async () => {
    phone.close();
    await gateway.stop();
  });

  test('hold nothing that a terminal or a reader of lines would obey', async () => {
    const lines = gateway.process.stderr;
    expect(lines.length).toBeGreaterThan(20);
    for (const line of lines) {
      expect(line).not.toMatch(UNSAFE);
      expect(() => JSON.parse(line), line).not.toThrow();
      expect(JSON.parse(line)).not.toMatchObject({ msg: 'forged' });
    }
    await eventually(() => gateway.process.cdrs().length > 0, 2000, 'records');
    const records = readFileSync(join(gateway.process.dataDir, 'cdr.jsonl'), 'utf8').trimEnd().split('\n');
    for (const line of records) expect(line).not.toMatch(UNSAFE);
    console.log(`figures: ${lines.length} log lines, ${records.length} records, none with a control character`);
  });

  test('hold no number, no password and no key', () => {
    const text = gateway.process.stderr.join('\n');
    const keys = [gateway.keys.current.secret.toString('base64'), gateway.keys.current.secret.toString('hex')];
    for (const canary of [NUMBER, PASSWORD, ...icePasswords, ...keys]) expect(text.includes(canary), canary).toBe(false);
  });
});
