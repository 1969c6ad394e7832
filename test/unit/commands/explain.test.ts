import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Explanation, explain, explainCommand, explanationText } from '../../../src/command-explain.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

/*
 * Why a call does not come through. The first nine are what nine users of another gateway ran into, each of whom was told "flood": what was
 * wrong in their trunks and rules, written as configurations of ours.
 */

const folder = tempFolder('explain');
afterAll(() => removeFolder(folder));

let files = 0;

async function explained(yaml: string, call: Parameters<typeof invite>[0] = {}, from = '198.51.100.7'): Promise<Explanation> {
  files += 1;
  const file = join(folder, `${files}.yaml`);
  writeFileSync(file, yaml);
  const { config } = loadConfig(['--config', file], { env: {}, directory: folder });
  return explain(config, new FakeClock(), Buffer.from(invite(call)), { from });
}

function invite({
  to = '+15550001',
  caller = '+4930123',
  headers = [],
  sdp,
}: {
  to?: string;
  caller?: string;
  headers?: readonly string[];
  sdp?: string;
} = {}): string {
  const lines = [
    `INVITE sip:${to}@192.0.2.5 SIP/2.0`,
    'Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKabc',
    `From: <sip:${caller}@198.51.100.7>;tag=1`,
    `To: <sip:${to}@192.0.2.5>`,
    'Call-ID: abc@1',
    'CSeq: 1 INVITE',
    'Contact: <sip:198.51.100.7>',
    ...headers,
    ...(sdp === undefined ? [] : ['Content-Type: application/sdp']),
    '',
    sdp ?? '',
  ];
  return lines.join('\r\n');
}

const CARRIER = `trunks:
  - name: carrier
    peer: 198.51.100.7
    destinations: ["+49*"]
`;
const HOOK = 'webhook: { url: "https://example.com/hook", secrets: ["whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0"] }';

describe('what was called a flood', () => {
  test('1. the provider sends from an address that the list does not have', async () => {
    const { status, mismatch } = await explained(CARRIER.replace('peer: 198.51.100.7', 'peer: 198.51.100.1'));
    expect(status).toBe(403);
    expect(mismatch).toMatchObject({
      rule: 'trunks.carrier.peer',
      at: expect.stringMatching(/yaml:3$/),
      why: '198.51.100.7 is none of 198.51.100.1',
    });
  });

  test('2. the number in the rule has no +, the one that is dialled has', async () => {
    const { outcome, rules } = await explained(`${CARRIER}routes:\n  - number: "15550001"\n    ${HOOK}\n`);
    expect(outcome).toMatch(/^answered by the model/);
    expect(rules).toContainEqual({
      rule: 'routes[0]',
      at: expect.stringMatching(/yaml:6$/),
      matched: false,
      why: 'number: +15550001 does not fit 15550001',
    });
  });

  test('3. the trunk is right, and no rule is there for the number', async () => {
    const { rules } = await explained(`${CARRIER}routes:\n  - number: "+1666*"\n    ${HOOK}\n`);
    expect(rules.at(-1)).toMatchObject({ rule: 'routes', why: 'no route fits: the agent answers' });
  });

  test('4. the rule is of another trunk', async () => {
    const other = '  - name: other\n    peer: 203.0.113.1\n';
    const { rules } = await explained(`${CARRIER}${other}routes:\n  - trunk: other\n    ${HOOK}\n`);
    expect(rules).toContainEqual(expect.objectContaining({ rule: 'routes[0]', why: 'trunk: not by other but by carrier' }));
  });

  test('5. the rule asks for who calls, where the number that is called was meant', async () => {
    const { rules } = await explained(`${CARRIER}routes:\n  - caller: "+15550001"\n    ${HOOK}\n`);
    expect(rules).toContainEqual(expect.objectContaining({ rule: 'routes[0]', matched: false, why: 'caller: does not fit +15550001' }));
  });

  test('6. the trunk wants a password that the provider, known by its address, never shows', async () => {
    const { status, rules, outcome } = await explained(`${CARRIER}    auth: { username: gw, password: pass-word-1, realm: ours }\n`);
    expect(status).toBe(200);
    expect(outcome).toMatch(/^401, and with the password of trunk carrier: answered/);
    expect(rules).toContainEqual(expect.objectContaining({ rule: 'trunks.carrier.auth', at: expect.stringMatching(/yaml:5$/) }));
  });

  test('7. no trunk is configured at all, and only trunks may call', async () => {
    const { status, mismatch } = await explained('callers: trunks\n');
    expect(status).toBe(403);
    expect(mismatch).toMatchObject({ rule: 'callers', why: 'only trunks may call' });
  });

  test('8. another trunk, which stands before it, has the same address', async () => {
    const before = 'trunks:\n  - name: old\n    peer: 203.0.113.1\n    addresses: [198.51.100.0/24]\n';
    const { rules } = await explained(`${before}${CARRIER.replace('trunks:\n', '')}routes:\n  - trunk: carrier\n    ${HOOK}\n`);
    expect(rules[0]).toMatchObject({ rule: 'trunks.old.addresses', matched: true });
    expect(rules).toContainEqual(expect.objectContaining({ rule: 'routes[0]', why: 'trunk: not by carrier but by old' }));
  });

  test('9. nothing that the phone offers can be spoken', async () => {
    const sdp = 'v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n';
    const { status, mismatch, outcome } = await explained(CARRIER, { sdp });
    expect([status, mismatch?.rule]).toEqual([488, 'media']);
    expect(outcome).toMatch(/^488: /);
  });
});

describe('other calls', () => {
  test('a user is told which of its permissions fits, and a name that nobody has which password would be right: none', async () => {
    const users = 'users:\n  - name: alice\n    password: pass-word-1\n    calls: [agent]\n';
    const auth = ['Authorization: Digest username="alice", realm="ringdown", nonce="n", uri="sip:x", response="00"'];
    const known = await explained(users, { caller: 'alice', headers: auth });
    expect(known.outcome).toMatch(/^401, and with the password of user alice: answered/);
    expect(known.rules.map(({ rule, matched }) => `${rule} ${matched}`)).toContain('users.alice.calls true');
    const unknown = await explained(users, { caller: 'mallory', headers: [auth[0]?.replace('alice', 'mallory') ?? ''] });
    expect([unknown.status, unknown.outcome]).toEqual([401, '401: no password is right, for there is no user mallory']);
  });

  test('what the RFC has refused is said with its status', async () => {
    expect(await explained(CARRIER, { headers: ['Require: x-nobody'] })).toMatchObject({ status: 420, outcome: '420 Bad Extension' });
  });

  test('no secret is in any explanation', async () => {
    const all = await explained(`${CARRIER}    auth: { username: gw, password: canary-pass, realm: ours }\nroutes:\n  - ${HOOK}\n`);
    expect(`${JSON.stringify(all)}${explanationText(all)}`).not.toMatch(/canary-pass|whsec_|dGVzd/);
  });
});

describe('the command', () => {
  test('reads a file as editors leave it, and exits with 1 for a call that does not come in', async () => {
    const request = join(folder, 'i.sip');
    writeFileSync(request, invite().replaceAll('\r\n', '\n').trimEnd());
    const config = join(folder, 'c.yaml');
    writeFileSync(config, 'callers: trunks\n');
    const { text, code } = await explainCommand(['--invite', request, '--config', config], new FakeClock());
    expect(code).toBe(1);
    expect(text).toContain('INVITE sip:+15550001@192.0.2.5\n');
    expect(text).toContain('first mismatch: callers (default): only trunks may call');
    const json = await explainCommand(['--invite', request, '--config', config, '--json'], new FakeClock());
    expect(JSON.parse(json.text)).toMatchObject({ status: 403, mismatch: { rule: 'callers' } });
  });

  test.each([
    [[], /--invite: .*needed/],
    [['--invite'], /--invite: .*needs a value/],
    [['--invite', '/nowhere'], /cannot be read \(ENOENT\)/],
    [['--invite', 'x', 'word'], /this command takes flags only/],
  ])('%j is refused by name', async (argv, message) => {
    await expect(explainCommand(argv, new FakeClock())).rejects.toThrow(message);
  });

  test('what is no request is said to be none', async () => {
    const request = join(folder, 'junk.sip');
    writeFileSync(request, 'hello\n');
    await expect(explainCommand(['--invite', request], new FakeClock())).rejects.toThrow(/holds no SIP request/);
  });
});
