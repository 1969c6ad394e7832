import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeSdesKey, parseCrypto, type SdesKey, writeCrypto } from '../../src/sdp/sdes.ts';
import { SrtpReceiver } from '../../src/webrtc/srtp/srtp-receiver.ts';
import { SrtpSender } from '../../src/webrtc/srtp/srtp-sender.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { loudArrivals } from '../support/heard.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse, eventually } from '../support/wait.ts';

const SUITE = 'AES_CM_128_HMAC_SHA1_80';
const PROFILE = 'AES128_CM_HMAC_SHA1_80';

const hook = new Switchhook();
const keys: Buffer[] = [];

afterAll(() => hook.close());

/** A call whose media both sides encrypt by keys of their descriptions. */
async function secureCall(gateway: GatewayUnderTest): Promise<{ call: PhoneCall; line: string }> {
  const own = makeSdesKey(SUITE);
  const line = `a=crypto:${writeCrypto({ tag: 1, suite: SUITE, key: own })}`;
  const phone = await hook.phone();
  const call = await phone.dial(gateway.sip, { offer: { lines: [line] } });
  const sender = new SrtpSender({ profile: PROFILE, ...own });
  call.media.seal = (packet) => sender.protectRtp(packet);
  await call.answered();
  const theirs = keyOf((await call.response(200)).body);
  const receiver = new SrtpReceiver({ profile: PROFILE, ...theirs });
  call.media.open = (datagram) => receiver.unprotectRtp(datagram);
  keys.push(own.key, own.salt, theirs.key, theirs.salt);
  return { call, line };
}

function keyOf(sdp: string): SdesKey {
  const line = parseCrypto(/^a=crypto:(.*)\r$/m.exec(sdp)?.[1] ?? '');
  if (!line) throw new Error(`no key in the answer: ${sdp}`);
  return line.key;
}

/** Presses 3 and expects the test tone: keys go in and sound comes out. */
async function hearsTheAgent({ media }: PhoneCall): Promise<void> {
  await media.press('3');
  await elapse(300);
  await eventually(() => loudArrivals(media, performance.now() - 200).length > 5, 3000, 'the test tone');
}

/** How the media is carried: in the process that speaks SIP, or by a worker. */
const KINDS = [
  { carried: 'in one process', flags: [] },
  { carried: 'by a worker', flags: ['--workers', '1'] },
];

describe('a phone that encrypts', () => {
  let gateways: GatewayUnderTest[] = [];

  beforeAll(async () => {
    const common = ['--sdes-over-plain', 'allow', '--log-level', 'trace'];
    gateways = await Promise.all(KINDS.map(({ flags }) => gatewayUnderTest({ mode: 'process', flags: [...common, ...flags] })));
  }, 60_000);
  afterAll(() => Promise.all(gateways.map((gateway) => gateway.stop())));

  test.concurrent.each(KINDS)('$carried hears the agent and is heard, cannot be talked out of it, and no key is seen', async (kind) => {
    const gateway = gateways[KINDS.indexOf(kind)] as GatewayUnderTest;
    const { call, line } = await secureCall(gateway);
    await hearsTheAgent(call);
    // A re-INVITE without keys: somebody on the way has taken them out.
    const stripped = await call.reinvite();
    expect([stripped.status, stripped.header('Warning')]).toEqual([488, expect.stringContaining('the call is encrypted and stays so')]);
    await hearsTheAgent(call);
    const held = await call.reinvite(call.sdp({ lines: [line], direction: 'sendonly' }));
    expect(held.status).toBe(200);
    expect((await call.reinvite(call.sdp({ lines: [line] }))).status).toBe(200);
    await hearsTheAgent(call);
    await call.bye();
    const record = await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === call.callId), 3000, 'the call record');
    expect(record).toMatchObject({ codec: 'PCMU', srtp: PROFILE, srtp_keys: 'sdes', srtp_dropped: 0 });
    const seen = JSON.stringify([gateway.log.all, gateway.cdrs()]);
    for (const key of keys) {
      expect(seen).not.toContain(key.toString('base64').slice(0, 20));
      expect(seen).not.toContain(key.toString('hex'));
      expect(seen).not.toContain([...key].join(','));
    }
  });
});
