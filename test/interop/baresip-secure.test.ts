import { afterAll, beforeAll, expect, test } from 'vitest';
import { Baresip, type BaresipOptions } from '../support/baresip.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { describePeer } from '../support/peers.ts';
import { concat, silence, tone, toneRuns } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

interface Kind {
  readonly name: string;
  readonly options: BaresipOptions;
  readonly record: Readonly<Record<string, unknown>>;
  /** What it recorded has the rate of the codec. */
  readonly heardRateHz: number;
}

const NARROW = 8000;

const KINDS: readonly Kind[] = [
  {
    name: 'SDES or no call',
    options: { encryption: 'srtp-mand' },
    record: { codec: 'PCMU', srtp: 'AES128_CM_HMAC_SHA1_80', srtp_keys: 'sdes' },
    heardRateHz: NARROW,
  },
  {
    name: 'SDES beside plain RTP, and RTCP on the same port',
    options: { encryption: 'srtp', rtcpMux: true },
    record: { codec: 'PCMU', srtp: 'AES128_CM_HMAC_SHA1_80', srtp_keys: 'sdes' },
    heardRateHz: NARROW,
  },
  {
    name: 'DTLS-SRTP',
    options: { encryption: 'dtls_srtp', rtcpMux: true },
    record: { codec: 'PCMU', srtp: 'AES128_CM_HMAC_SHA1_80', srtp_keys: 'dtls' },
    heardRateHz: NARROW,
  },
  {
    name: 'DTLS-SRTP for each of two ports',
    options: { encryption: 'dtls_srtp', rtcpMux: false },
    record: { codec: 'PCMU', srtp: 'AES128_CM_HMAC_SHA1_80', srtp_keys: 'dtls' },
    heardRateHz: NARROW,
  },
  { name: 'ICE', options: { ice: true }, record: { codec: 'PCMU', ice: 'connected' }, heardRateHz: NARROW },
  {
    name: 'Opus over DTLS-SRTP over ICE',
    options: { encryption: 'dtls_srtp', ice: true, rtcpMux: true, codecs: ['opus'], rateHz: 48_000 },
    record: { codec: 'opus', srtp: 'AES128_CM_HMAC_SHA1_80', srtp_keys: 'dtls', ice: 'connected' },
    heardRateHz: 48_000,
  },
  { name: 'Opus', options: { codecs: ['opus'], rateHz: 48_000 }, record: { codec: 'opus' }, heardRateHz: 48_000 },
  { name: 'L16', options: { codecs: ['L16'], rateHz: 16_000 }, record: { codec: 'L16/16000' }, heardRateHz: 16_000 },
];

describePeer('baresip', 'baresip calls the gateway with', () => {
  /** One carries its calls itself, one has a worker for them. */
  let gateways: GatewayUnderTest[] = [];
  const phones: Baresip[] = [];

  beforeAll(async () => {
    const start = (...flags: string[]) => gatewayUnderTest({ mode: 'process', flags: ['--sdes-over-plain', 'allow', ...flags] });
    gateways = await Promise.all([start(), start('--workers', '1')]);
  }, 60_000);
  afterAll(async () => {
    await Promise.all(phones.map((phone) => phone.stop()));
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  });

  /** @returns how long it heard itself, at one stretch and in all, and what the record says */
  async function call({ options, heardRateHz }: Kind, index: number) {
    const gateway = gateways[index % 2] as GatewayUnderTest;
    const rateHz = options.rateHz ?? NARROW;
    const phone = await Baresip.start({ ...options, microphone: concat(silence(3000, rateHz), tone(700, 1500, { rateHz })) });
    phones.push(phone);
    await phone.dial(gateway.sip);
    const { id } = await phone.established();
    await elapse(500);
    await phone.press('2');
    await elapse(3000 + 1500 + 500);
    await phone.hangup();
    await phone.closed();
    const runs = toneRuns(await phone.heard(), 700, { rateHz: heardRateHz });
    const record = await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === id), 3000, 'the call record');
    const stretches = runs.map(({ fromMs, toMs }) => toMs - fromMs);
    return { longestMs: Math.max(0, ...stretches), heardMs: stretches.reduce((sum, each) => sum + each, 0), record };
  }

  // All at once: each of these calls takes seven seconds of waiting.
  test('SDES, DTLS, ICE, Opus and L16, and hears itself', async () => {
    const results = await Promise.all(KINDS.map(call));
    for (const [index, { longestMs, heardMs, record }] of results.entries()) {
      const { name, record: expected } = KINDS[index] as Kind;
      expect(heardMs, name).toBeGreaterThan(1200);
      // Seven programs that play and record share the machine: one of them may be late once.
      expect(longestMs, name).toBeGreaterThan(600);
      expect(record, name).toMatchObject({ ...expected, packets_discarded: 0 });
    }
  });
});
