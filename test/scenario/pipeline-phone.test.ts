import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { hears, refuses, ScriptedServices, speaks, writes } from '../support/scripted-services.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { speech } from '../support/speech.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { toneRuns } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/* A phone on a gateway whose model is three services: configured in its file, in one process and in workers. */

const GREETING = 'Hello, how can I help you?';
const ANSWER = 'It is three o clock in the afternoon.';

let folder: string;
let services: ScriptedServices;
let phone: SipPhone;
const gateways: GatewayProcess[] = [];

function configure(name: string, url: string): string {
  const file = join(folder, name);
  const service = `url: "${url}", model: test, key: {env: SERVICE_KEY}`;
  writeFileSync(
    file,
    `callers: anyone
model:
  type: pipeline
  transcription: {${service}, language: en}
  chat: {${service}, extra: {temperature: 0}}
  speech: {${service}, voice: v, rate: 16000}
  instructions: Be brief.
  greeting: "${GREETING}"
  patience-ms: 0 # a busy machine would make it sound
`,
  );
  return file;
}

/** What `heard` leaves of a sentence, and what lies between the wire and an ear: who speaks sooner cuts its last word off. */
const OUT_MS = 300;

beforeAll(async () => {
  folder = tempFolder('pipeline');
  const speaking = speaks({ rateHz: 16_000, msPerChar: 30 });
  services = await ScriptedServices.start({ transcription: hears('What time is it?'), chat: writes(ANSWER), speech: speaking });
  const start = (flags: readonly string[]) => GatewayProcess.start({ flags, env: { SERVICE_KEY: 'sk-canary' } });
  // One after the other: each has the processor to itself while it starts.
  gateways.push(await start(['--config', configure('one.yaml', services.url)]));
  gateways.push(await start(['--config', configure('workers.yaml', services.url), '--workers', '1']));
  phone = await SipPhone.open();
});

afterAll(async () => {
  phone.close();
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  await services.stop();
  removeFolder(folder);
});

async function call(at: number) {
  const made = await phone.dial((gateways[at] ?? expect.unreachable()).sip);
  await made.answered();
  /** How long 440 Hz was heard so far. */
  const heardMs = (): number => toneRuns(made.media.recording().samples, 440).reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  const heard = (ms: number): Promise<unknown> => eventually(() => heardMs() > ms - 100, 15_000, `${ms} ms of the agent`);
  return { made, heardMs, heard };
}

describe('a caller of services in a row', () => {
  test.concurrent.each([
    ['one process', 0],
    ['workers', 1],
  ])('with %s is greeted, understood and answered', async (_, at) => {
    const { made, heard, heardMs } = await call(at);
    await heard(GREETING.length * 30);
    await elapse(OUT_MS);
    await made.media.say(speech(900));
    await heard((GREETING.length + ANSWER.length) * 30);
    expect(heardMs()).toBeLessThan((GREETING.length + ANSWER.length) * 30 + 200);
    const chat = services.of('chat').at(-1);
    expect(chat?.json).toMatchObject({
      temperature: 0,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'assistant', content: GREETING },
        { role: 'user', content: 'What time is it?' },
      ],
    });
    expect(services.asked.all.every(({ headers }) => headers.authorization === 'Bearer sk-canary')).toBe(true);
    expect(services.of('transcription')[0]?.field('language')).toBe('en');
    await made.bye();
  });

  // After the others, with the same gateway.
  test('that refuse our key is told so by a prompt, and the log names what is wrong', async () => {
    services.script = { ...services.script, transcription: refuses(401) };
    const { made, heard } = await call(0);
    await heard(GREETING.length * 30);
    await made.media.say(speech(900));
    const gateway = gateways[0] ?? expect.unreachable();
    const line = await gateway.logged('model service is set up wrongly', 10_000);
    expect(line).toMatchObject({ stage: 'transcription', code: 'unauthorized', status: 401 });
    expect(gateway.log.all.map((each) => JSON.stringify(each)).join('')).not.toContain('canary');
    await expect.poll(async () => (await gateway.metrics()).sum('ringdown_pipeline_spares_total')).toBe(1);
    await made.bye();
  });
});
