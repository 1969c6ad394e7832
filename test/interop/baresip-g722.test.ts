import { afterAll, beforeAll, expect, test } from 'vitest';
import { Baresip } from '../support/baresip.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { describePeer } from '../support/peers.ts';
import { concat, silence, tone, toneRuns } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

const RATE_HZ = 16_000;

describePeer('baresip', 'baresip calls the gateway in G.722', () => {
  let gateway: GatewayUnderTest;
  let phone: Baresip | undefined;

  beforeAll(async () => {
    gateway = await gatewayUnderTest({ mode: 'process' });
  });
  afterAll(async () => {
    await phone?.stop();
    await gateway?.stop();
  });

  test('and hears itself in full: 5 kHz there and back', async () => {
    phone = await Baresip.start({
      codecs: ['G722', 'PCMU'],
      rateHz: RATE_HZ,
      microphone: concat(silence(3000, RATE_HZ), tone(5000, 1500, { rateHz: RATE_HZ })),
    });
    await phone.dial(gateway.sip);
    const { id } = await phone.established();
    await elapse(300);
    await phone.press('2');
    await elapse(3000 + 1500 + 500);
    await phone.hangup();
    await phone.closed();
    const [run] = toneRuns(await phone.heard(), 5000, { rateHz: RATE_HZ });
    expect((run?.toMs ?? 0) - (run?.fromMs ?? 0)).toBeGreaterThan(1300);
    const record = await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === id), 3000, 'the call record');
    expect(record).toMatchObject({ codec: 'G722', packets_lost: 0, packets_discarded: 0, concealed_in_frames: 0, concealed_out_frames: 0 });
  });
});
