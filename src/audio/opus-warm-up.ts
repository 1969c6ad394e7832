import { createOpusDecoder, createOpusEncoder, loadOpus } from './opus.ts';
import { Tone } from './tone.ts';

/** Stalls of up to 16 ms were seen within the first 400 frames, none later. */
const FRAMES = 500;

/**
 * Loads Opus and codes ten seconds through each kind of coder a phone call uses, so that the engine has compiled the codec
 * at full speed before the first call. Takes a few tenths of a second on a cold start.
 */
export async function warmUpOpus(): Promise<void> {
  await loadOpus();
  const uplinkEncoder = await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior' });
  const uplinkDecoder = await createOpusDecoder({ sampleRateHz: 24_000 });
  const downlinkEncoder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'interior', narrowband: true });
  const downlinkDecoder = await createOpusDecoder({ sampleRateHz: 8000 });
  const narrow = new Int16Array(160);
  const wide = new Int16Array(480);
  const narrowTone = new Tone({ rateHz: 8000, frequencyHz: 313, secondFrequencyHz: 1170 });
  const wideTone = new Tone({ rateHz: 24_000, frequencyHz: 313, secondFrequencyHz: 1170 });
  for (let frame = 0; frame < FRAMES; frame += 1) {
    narrowTone.fill(narrow);
    wideTone.fill(wide);
    uplinkDecoder.decode(uplinkEncoder.encode(narrow));
    downlinkDecoder.decode(downlinkEncoder.encode(wide));
    if (frame % 25 === 0) {
      uplinkDecoder.conceal();
      downlinkDecoder.conceal();
    }
  }
  for (const codec of [uplinkEncoder, uplinkDecoder, downlinkEncoder, downlinkDecoder]) codec.free();
}
