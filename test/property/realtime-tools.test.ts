import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ToolDesk } from '../../src/realtime/tools/tool-desk.ts';
import type { ToolNews } from '../../src/realtime/tools/tool-source.ts';
import { ScriptedTools } from '../support/scripted-tools.ts';
import { SurfaceBench } from '../unit/realtime/surface-bench.ts';

const nonsense = fc.oneof(
  fc.constant('{}'),
  fc.constant('{"a":1}'),
  fc.constant(''),
  fc.string({ maxLength: 20 }),
  fc.json({ maxDepth: 2 }),
);

const news: fc.Arbitrary<ToolNews> = fc.oneof(
  fc.record({ type: fc.constant('progress' as const), message: fc.option(fc.string({ maxLength: 8 }), { nil: undefined }) }),
  fc.record({
    type: fc.constant('done' as const),
    output: fc.oneof(fc.string({ maxLength: 8 }), fc.constant('x'.repeat(70_000))),
    silent: fc.boolean(),
  }),
  fc.record({ type: fc.constant('failed' as const), code: fc.string({ maxLength: 8 }), message: fc.string({ maxLength: 8 }) }),
  fc.constant({ type: 'done', output: 7 } as never),
);

const tool = fc.record({
  needsApproval: fc.boolean(),
  timeoutMs: fc.option(fc.integer({ min: -5, max: 100_000 }), { nil: undefined }),
  whenCancelled: fc.constantFrom('abort' as const, 'finish' as const, undefined),
});

const id = fc.integer({ min: 0, max: 11 }).map((n) => `c${n}`);
const response = fc.integer({ min: 0, max: 3 }).map((n) => `r${n}`);

const step = fc.oneof(
  fc.record({ do: fc.constant('call' as const), id, response, tool, text: nonsense }),
  fc.record({ do: fc.constant('news' as const), id, news }),
  fc.record({ do: fc.constant('approve' as const), id, approved: fc.boolean() }),
  fc.record({ do: fc.constant('over' as const), response, stopped: fc.boolean() }),
  fc.record({ do: fc.constant('client' as const), id, response }),
  fc.record({ do: fc.constant('client_result' as const), id }),
  fc.record({ do: fc.constantFrom('asked' as const, 'free' as const, 'withdrawn' as const) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 60_000 }) }),
);

describe('the desk of tools', () => {
  test('settles every call exactly once, starts none twice, and owes nothing for ever', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const desk = new ToolDesk();
        let now = 0;
        let asks = 0;
        const handed: string[] = [];
        const [settled, started, aborted] = [[] as string[], [] as string[], [] as string[]];
        const drain = (): void => {
          for (let output = desk.pollOutput(); output; output = desk.pollOutput()) {
            if (output.type === 'settled') settled.push(output.call.id);
            if (output.type === 'start') started.push(output.call.id);
            if (output.type === 'abort') aborted.push(output.call.id);
            if (output.type === 'ask') asks += 1;
          }
        };
        let serial = 0;
        const names = new Map<string, string>();
        for (const each of steps) {
          switch (each.do) {
            case 'call': {
              // Each call has an item of its own: the model's ids are made unique before.
              const name = `${each.id}_${serial++}`;
              names.set(each.id, name);
              handed.push(name);
              desk.handleCall(
                { id: name, callId: name, responseId: each.response, name: 'look' },
                { name: 'look', ...each.tool },
                each.text,
                now,
              );
              break;
            }
            case 'news':
              desk.handleNews(names.get(each.id) ?? each.id, each.news, now);
              break;
            case 'approve':
              desk.approve(names.get(each.id) ?? each.id, each.approved, undefined, now);
              break;
            case 'over':
              if (each.stopped) desk.handleResponseStopped(each.response, now);
              else desk.handleResponseDone(each.response, now);
              break;
            case 'client':
              desk.handleClientCall(each.response, each.id, now);
              break;
            case 'client_result':
              desk.handleClientResult(each.id, now);
              break;
            case 'asked':
              desk.handleAsked(true);
              break;
            case 'free':
              desk.handleFree();
              break;
            case 'withdrawn':
              desk.handleWithdrawn(() => true, now);
              break;
            case 'wait':
              for (const until = now + each.ms; now <= until; ) {
                drain();
                const at = desk.nextTimeout();
                if (at === undefined || at > until) {
                  now = until;
                  break;
                }
                now = Math.max(now, at);
                desk.handleTimeout(now);
                // No timer that fires for ever at the same moment.
                expect(desk.nextTimeout() ?? Number.POSITIVE_INFINITY).toBeGreaterThan(now);
              }
              break;
          }
          drain();
        }
        // Responses end some day, and time goes by.
        for (const each of ['r0', 'r1', 'r2', 'r3']) desk.handleResponseDone(each, now);
        for (let rounds = 0; rounds < 200 && desk.nextTimeout() !== undefined; rounds++) {
          now = Math.max(now, desk.nextTimeout() ?? now);
          desk.handleTimeout(now);
          desk.handleFree();
          drain();
        }
        drain();
        expect([...settled].sort()).toEqual([...handed].sort());
        expect(new Set(started).size).toBe(started.length);
        expect(started.filter((each) => !handed.includes(each))).toEqual([]);
        expect(aborted.filter((each) => !started.includes(each))).toEqual([]);
        expect([desk.isBusy, desk.waiting, desk.nextTimeout()]).toEqual([false, [], undefined]);
        expect(asks).toBeLessThanOrEqual(handed.length);
      }),
      { numRuns: 400 },
    );
  });
});

const sessionStep = fc.oneof(
  fc.record({
    do: fc.constant('call' as const),
    text: nonsense,
    spoken: fc.boolean(),
    cut: fc.constantFrom('no' as const, 'late' as const, 'cancelled' as const),
  }),
  fc.record({ do: fc.constant('news' as const), at: fc.nat(5), news }),
  fc.record({ do: fc.constantFrom('voice' as const, 'silence' as const), ms: fc.integer({ min: 20, max: 1500 }) }),
  fc.record({ do: fc.constantFrom('key' as const, 'cancel' as const, 'update' as const, 'withdraw' as const, 'wait' as const) }),
);

describe('a session with tools', () => {
  test('gives every call a result and answers afterwards, whatever tools, caller and programs do', () => {
    fc.assert(
      fc.property(fc.array(sessionStep, { maxLength: 12 }), (steps) => {
        const tools = new ScriptedTools({ name: 'look', timeoutMs: 5000 });
        const bench = new SurfaceBench({ tools: tools.catalogue });
        const { model, session, client } = bench;
        let serial = 0;
        const answer = (requestId?: string): void => model.say(`s${serial++}`, 60, requestId === undefined ? {} : { requestId });
        model.onRespond = ({ requestId }) => answer(requestId);
        model.onCommit = () => answer();
        bench.run(100);
        for (const each of steps) {
          switch (each.do) {
            case 'call': {
              const responseId = `t${serial++}`;
              const item = {
                type: 'function_call',
                id: `${responseId}_f`,
                status: 'in_progress',
                call_id: `${responseId}_c`,
                name: 'look',
                arguments: '',
              } as const;
              model.emit({ type: 'response_started', responseId });
              if (each.spoken) model.emit({ type: 'audio', responseId, itemId: `${responseId}_a`, pcm: new Int16Array(4800).fill(500) });
              model.emit({ type: 'item_started', responseId, item });
              if (each.cut === 'late') bench.run(100);
              model.emit({ type: 'item_done', responseId, item: { ...item, status: 'completed', arguments: each.text } });
              model.emit({ type: 'response_done', responseId, status: each.cut === 'cancelled' ? 'cancelled' : 'completed' });
              break;
            }
            case 'news':
              tools.calls.at(-1 - each.at)?.tell(each.news);
              break;
            case 'voice':
              bench.voice(each.ms);
              break;
            case 'silence':
              bench.silence(each.ms);
              break;
            case 'key':
              session.handleLegEvent({ type: 'dtmf', digit: '1', durationMs: 80 });
              break;
            case 'cancel':
              client.send({ type: 'response.cancel' });
              break;
            case 'update':
              client.send({ type: 'session.update', session: { type: 'realtime', tools: [] } });
              break;
            case 'withdraw':
              tools.onChanged?.();
              break;
            case 'wait':
              bench.wait(6000);
              break;
          }
        }
        bench.silence(8000);
        const calls = client.events
          .filter(({ type }) => type === 'conversation.item.added')
          .filter((each) => client.itemOf(each)['type'] === 'mcp_call');
        const results = client.events
          .filter(({ type }) => type === 'conversation.item.done')
          .filter((each) => client.itemOf(each)['type'] === 'mcp_call');
        expect(results.map((each) => client.itemOf(each)['id']).sort()).toEqual(calls.map((each) => client.itemOf(each)['id']).sort());
        const outputs = model.told.filter(
          ([what, item]) => what === 'addItem' && (item as { type: string }).type === 'function_call_output',
        );
        expect(outputs.length).toBeLessThanOrEqual(calls.length);
        // Not dead: the caller says something and is answered.
        client.take();
        bench.voice(600).silence(3000);
        expect(client.types()).toContain('response.done');
      }),
      { numRuns: 60 },
    );
  });
});
