import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PipelineProbe } from './pipeline-probe.ts';

/* Whatever callers, programs and services do in whatever order: nothing is thrown, every response ends exactly once, nobody waits for ever. */

type Step = readonly [what: string, which: number];

const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom(
    'turn',
    'keep',
    'respond',
    'beside',
    'cancel',
    'truncate',
    'go_on',
    'prepare',
    'drop',
    'release',
    'key',
    'pass',
    'head',
    'page',
    'words',
    'garbage',
    'end',
    'fail',
    'refuse',
  ),
  fc.nat(20),
);

const BODIES = {
  transcription: '{"text":"Hello there."}',
  chat: 'data: {"choices":[{"delta":{"content":"One sentence here. Another one there. "}}]}\n\n',
  speech: Buffer.alloc(4800, 7),
} as const;
const TYPES = { transcription: 'application/json', chat: 'text/event-stream', speech: 'audio/pcm' } as const;

function take(probe: PipelineProbe, [what, which]: Step): void {
  const open = probe.requests.filter(({ state }) => state === 'open');
  const request = open[which % Math.max(1, open.length)];
  const started = probe.of('response_started');
  const responseId = started[which % Math.max(1, started.length)]?.responseId;
  switch (what) {
    case 'turn':
      probe.turn(200, { itemId: `item_${probe.heardMs}` });
      break;
    case 'keep':
      probe.turn(200, { respond: false });
      break;
    case 'respond':
      probe.run((machine, now) => machine.respond({ requestId: `r${which}`, conversation: 'auto' }, now));
      break;
    case 'beside':
      probe.run((machine, now) => machine.respond({ requestId: `b${which}`, conversation: 'none' }, now));
      break;
    case 'cancel':
      probe.run((machine, now) => machine.cancelResponse(which === 0 ? undefined : responseId, now));
      break;
    case 'truncate':
      probe.machine.truncate(probe.of('audio').at(-1)?.itemId ?? '', which * 10);
      break;
    case 'go_on':
      probe.run((machine, now) => machine.speechStarted(Math.max(0, probe.heardMs - 200), now));
      break;
    case 'prepare':
      probe.run((machine, now) => machine.prepareTurn({ startMs: Math.max(0, probe.heardMs - 200), endMs: probe.heardMs }, now));
      break;
    case 'drop':
      probe.run((machine, now) => machine.dropPreparation(now));
      break;
    case 'release':
      probe.run((machine, now) => machine.commitTurn({ startMs: Math.max(0, probe.heardMs - 200), endMs: probe.heardMs }, now));
      break;
    case 'key':
      probe.run((machine, now) => machine.discardTurn(now));
      break;
    case 'pass':
      probe.pass(which * 200);
      break;
    case 'head':
      request?.head(TYPES[request.stage]);
      break;
    case 'page':
      request?.head('text/html');
      break;
    case 'words':
      request?.data(BODIES[request.stage]);
      break;
    case 'garbage':
      request?.data(Buffer.from([0xff, 0x0a, 0x0a, 0x7b]));
      break;
    case 'end':
      request?.end();
      break;
    case 'fail':
      request?.fail();
      break;
    case 'refuse':
      request?.refuse([401, 404, 429, 500][which % 4] ?? 500);
      break;
  }
}

test('any order of things', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const probe = new PipelineProbe({ patienceMs: 1500, greeting: 'Hello.', fallback: 'That went wrong.' });
      probe.run((machine, now) => machine.answer(now));
      for (const each of steps) take(probe, each);
      probe.pass(1_000_000);
      const started = probe.of('response_started').map(({ responseId }) => responseId);
      const done = probe.of('response_done').map(({ responseId }) => responseId);
      expect(new Set(started).size).toBe(started.length);
      // A call that was given up says so instead.
      if (probe.of('closed').length === 0) expect([...done].sort()).toEqual([...started].sort());
      expect(new Set(done).size).toBe(done.length);
      expect(probe.machine.nextTimeout()).toBeUndefined();
      expect(probe.requests.filter(({ state }) => state === 'open')).toEqual([]);
    }),
    { numRuns: 400 },
  );
});
