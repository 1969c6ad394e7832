import { beforeAll, expect, it } from 'vitest';
import { createOpusDecoder, createOpusEncoder, loadOpus } from '../../../src/audio/opus.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import { Uplink } from '../../../src/transceiver/uplink.ts';

const FRAME = 480;
const RATE_HZ = 24_000;

beforeAll(() => loadOpus());

/** A voice: harmonics whose pitch and loudness wander. */
function voice(frames: number): Int16Array {
  const pcm = new Int16Array(frames * FRAME);
  let phase = 0;
  for (let n = 0; n < pcm.length; n++) {
    phase += (2 * Math.PI * (140 + 40 * Math.sin(n / 9000))) / RATE_HZ;
    const loud = 5000 * (1 + Math.sin(n / 3000));
    pcm[n] = loud * (Math.sin(phase) + 0.5 * Math.sin(2 * phase) + 0.3 * Math.sin(5 * phase)) * 0.5;
  }
  return pcm;
}

/** What the session hears of it when every tenth packet is lost. @param told by an empty packet in its place; else its time is left out */
async function hear(told: boolean): Promise<{ readonly pcm: Int16Array; readonly concealed: number }> {
  const encoder = await createOpusEncoder({ sampleRateHz: RATE_HZ, profile: 'edge' });
  encoder.setPacketLossPercent(10);
  const decoder = await createOpusDecoder({ sampleRateHz: RATE_HZ });
  const heard: number[] = [];
  const handlers = { onFrame: (pcm: Int16Array) => void heard.push(...pcm), onDigit: () => undefined };
  const uplink = new Uplink(decoder, { payloadType: 111, frameSamples: FRAME }, handlers);
  const sender = new RtpSender({ payloadType: 111 });
  const said = voice(300);
  for (let n = 0; n < 300; n++) {
    const packet = encoder.encode(said.subarray(n * FRAME, (n + 1) * FRAME));
    const now = 20 * n;
    if (n % 10 !== 9) uplink.handlePacket(sender.next(packet, 960), now);
    else {
      if (told)
        uplink.handlePacket(sender.beside(new Uint8Array(0), { payloadType: 111, timestamp: sender.nextTimestamp, marker: false }), now);
      sender.skip(960, 'lost');
    }
  }
  const { concealedFrames, account } = uplink.snapshot();
  expect(account.unaccounted).toBe(0);
  uplink.close();
  encoder.free();
  return { pcm: Int16Array.from(heard), concealed: concealedFrames };
}

/** How far two pieces of sound are apart, in dB of the first. */
function snrDb(said: Int16Array, heard: Int16Array): number {
  let signal = 0;
  let error = 0;
  for (let n = FRAME * 20; n < Math.min(said.length, heard.length); n++) {
    signal += (said[n] as number) ** 2;
    error += ((said[n] as number) - (heard[n] as number)) ** 2;
  }
  return 10 * Math.log10(signal / Math.max(1, error));
}

it('a loss that the bridge tells is repaired by the FEC of the packet after it, better than by what can be made up', async () => {
  const whole = await (async () => {
    const encoder = await createOpusEncoder({ sampleRateHz: RATE_HZ, profile: 'edge' });
    encoder.setPacketLossPercent(10);
    const decoder = await createOpusDecoder({ sampleRateHz: RATE_HZ });
    const said = voice(300);
    const out: number[] = [];
    for (let n = 0; n < 300; n++) out.push(...(decoder.decode(encoder.encode(said.subarray(n * FRAME, (n + 1) * FRAME))) as Int16Array));
    encoder.free();
    decoder.free();
    return Int16Array.from(out);
  })();
  const told = await hear(true);
  const untold = await hear(false);
  expect(told.concealed).toBe(29);
  expect(told.pcm.length).toBe(untold.pcm.length);
  const [withFec, without] = [snrDb(whole, told.pcm), snrDb(whole, untold.pcm)];
  console.log(`figures: ${withFec.toFixed(1)} dB with FEC, ${without.toFixed(1)} dB without`);
  expect(withFec).toBeGreaterThan(without + 2);
});
