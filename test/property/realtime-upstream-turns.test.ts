import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConversationBench } from '../support/conversation-bench.ts';

type Step =
  | { readonly type: 'voice'; readonly ms: number }
  | { readonly type: 'silence'; readonly ms: number }
  | { readonly type: 'started'; readonly agoMs: number }
  | { readonly type: 'ended'; readonly agoMs: number }
  | { readonly type: 'say'; readonly ms: number; readonly done: boolean }
  | { readonly type: 'key' };

const ms = fc.integer({ min: 20, max: 2500 });
const agoMs = fc.integer({ min: -500, max: 4000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ type: fc.constant('voice'), ms }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('silence'), ms }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('started'), agoMs }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('ended'), agoMs }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('say'), ms: fc.integer({ min: 0, max: 4000 }), done: fc.boolean() }) },
  fc.record({ type: fc.constant('key') }),
);

describe('turns that are left to a server, whatever it says and when', () => {
  it('end in a moment of silence, hold nobody for ever, truncate nothing that was not sent, and drop no turn', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const bench = new ConversationBench({ takesTurns: true }).answered();
        const events: string[] = [];
        bench.session.observe(({ type }) => events.push(type));
        let said = 0;
        let heldMs = 0;
        bench.onFrame = () => {
          heldMs = bench.session.snapshot().state === 'held' ? heldMs + 20 : 0;
          expect(heldMs).toBeLessThanOrEqual(2020);
        };
        for (const each of steps) {
          const { heardMs } = bench.session.snapshot();
          if (each.type === 'voice') bench.voice(each.ms);
          else if (each.type === 'silence') bench.silence(each.ms);
          else if (each.type === 'key') bench.key('5');
          else if (each.type === 'say') bench.model.say(`r${said++}`, each.ms, each.done);
          else if (each.type === 'started') bench.model.emit({ type: 'caller_started', startMs: heardMs - each.agoMs });
          else bench.model.emit({ type: 'caller_ended', endMs: heardMs - each.agoMs });
        }
        for (let n = 0; n < said; n++) bench.model.emit({ type: 'response_done', responseId: `r${n}`, status: 'completed' });
        bench.silence(30_000);
        expect(['idle', 'waiting']).toContain(bench.session.snapshot().state);
        const count = (type: string): number => events.filter((each) => each === type).length;
        // Begun turns end: committed, or told to be none.
        expect(count('speech_stopped')).toBe(count('speech_started'));
        const sentMs = bench.sounded.filter(Boolean).length * 20;
        for (const [, what, , upTo] of bench.model.told) if (what === 'truncate') expect(upTo).toBeLessThanOrEqual(sentMs);
      }),
      { numRuns: 100 },
    );
  });
});
