import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from '../../src/realtime/safe-json.ts';
import { BenchClient, type Json, SurfaceBench } from '../unit/realtime/surface-bench.ts';

const id = fc.constantFrom('a', 'b', 'r1_item', 'r2_item', 'nobody');
const responseId = fc.constantFrom('r1', 'r2', 'r3', 'r4');
const ms = fc.integer({ min: 20, max: 1500 });
const silentAudio = (length: number) => Buffer.alloc(length).toString('base64');

const item = fc.oneof(
  fc.record({ type: fc.constant('message'), role: fc.constant('user'), id, content: fc.constant([{ type: 'input_text', text: 'x' }]) }),
  fc.constant({ type: 'message', role: 'user', content: [{ type: 'input_audio', audio: 'AAAA' }] }),
  fc.constant({ type: 'function_call_output', call_id: 'c', output: '1' }),
);

const turnDetection = fc.constantFrom(
  null,
  { type: 'semantic_vad', eagerness: 'high' },
  { type: 'server_vad', silence_duration_ms: 200, idle_timeout_ms: 1000 },
  { type: 'server_vad', interrupt_response: false },
  { type: 'server_vad', create_response: false },
);

/** What a client may send. */
const clientEvent: fc.Arbitrary<Json> = fc.oneof(
  fc.record({ type: fc.constant('conversation.item.create'), item }),
  fc.record({ type: fc.constant('conversation.item.delete'), item_id: id }),
  fc.record({ type: fc.constant('conversation.item.retrieve'), item_id: id }),
  fc.record({
    type: fc.constant('conversation.item.truncate'),
    item_id: id,
    content_index: fc.constantFrom(0, 1),
    audio_end_ms: fc.integer({ min: 0, max: 2000 }),
  }),
  fc.constantFrom<Json>(
    { type: 'response.create' },
    { type: 'response.create', response: { conversation: 'none' } },
    { type: 'response.cancel' },
    { type: 'response.cancel', response_id: 'r1' },
    { type: 'input_audio_buffer.commit' },
    { type: 'input_audio_buffer.clear' },
    { type: 'output_audio_buffer.clear' },
  ),
  fc.integer({ min: 0, max: 5000 }).map((length) => ({ type: 'input_audio_buffer.append', audio: silentAudio(length) })),
  turnDetection.map((detection) => ({
    type: 'session.update',
    session: { type: 'realtime', audio: { input: { turn_detection: detection } } },
  })),
  fc.constantFrom('audio/pcm', 'audio/pcmu', 'audio/pcma').map((type) => ({
    type: 'session.update',
    session: { type: 'realtime', audio: { input: { format: { type } }, output: { format: { type } } } },
  })),
);

/** What it must not, but does. */
const badText = fc.oneof(
  fc.string({ maxLength: 50 }),
  fc.json({ maxDepth: 4 }),
  fc
    .tuple(
      clientEvent,
      fc.constantFrom('type', 'item', 'item_id', 'audio', 'session', 'response', 'colour', '__proto__'),
      fc.jsonValue({ maxDepth: 2 }),
    )
    .map(([event, key, value]) => JSON.stringify(event).replace(/\}$/, `,${JSON.stringify(key)}:${JSON.stringify(value)}}`)),
);

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), event: clientEvent }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('bad' as const), text: badText }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('voice' as const), ms }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('silence' as const), ms }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('say' as const), responseId, ms: fc.integer({ min: 0, max: 3000 }), done: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('answer' as const), ms: fc.integer({ min: 0, max: 2000 }), done: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('call' as const), responseId }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('done' as const),
      responseId,
      status: fc.constantFrom('completed', 'failed', 'incomplete' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'key' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'fault' as const }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const media = fc.constantFrom('phone', 'browser', 'websocket' as const);

function tell(kind: 'phone' | 'browser' | 'websocket', steps: readonly Step[]): { bench: SurfaceBench; other: BenchClient } {
  const bench = new SurfaceBench({ media: kind });
  const other = new BenchClient(bench.surface);
  const used = new Set<string>();
  const { model } = bench;
  for (const each of steps) {
    switch (each.do) {
      case 'send':
        bench.client.send(each.event);
        break;
      case 'bad':
        bench.client.channel.receive(each.text);
        break;
      case 'voice':
        bench.voice(each.ms);
        break;
      case 'silence':
        bench.silence(each.ms);
        break;
      case 'say':
        // A model never uses a name twice.
        if (used.has(each.responseId)) break;
        used.add(each.responseId);
        model.say(each.responseId, each.ms, { done: each.done, text: 'word' });
        break;
      case 'answer': {
        const request = model.requests.shift();
        if (request) model.say(request.requestId.replace('req', 'resp'), each.ms, { done: each.done, requestId: request.requestId });
        break;
      }
      case 'call': {
        const call = {
          type: 'function_call',
          id: `${each.responseId}_call`,
          status: 'in_progress',
          call_id: 'c',
          name: 'f',
          arguments: '',
        } as const;
        model.emit({ type: 'item_started', responseId: each.responseId, item: call });
        model.emit({ type: 'arguments', responseId: each.responseId, itemId: call.id, delta: '{}' });
        break;
      }
      case 'done':
        model.emit({ type: 'response_done', responseId: each.responseId, status: each.status });
        break;
      case 'key':
        bench.session.handleLegEvent({ type: 'dtmf', digit: '1', durationMs: 80 });
        break;
      case 'fault':
        model.emit({ type: 'fault', code: 'x', message: 'x', requestId: model.requests.shift()?.requestId ?? 'none' });
        break;
    }
  }
  return { bench, other };
}

/** Everything that was begun and ended, by name: a thing ends once, after it began. */
class Pairs {
  readonly #open = new Set<string>();
  readonly #over = new Set<string>();

  begin(name: string): void {
    expect(this.#open.has(name) || this.#over.has(name), `${name} began twice`).toBe(false);
    this.#open.add(name);
  }

  during(name: string): void {
    expect(this.#open.has(name), `${name} is not going on`).toBe(true);
  }

  end(name: string): void {
    this.during(name);
    this.#open.delete(name);
    this.#over.add(name);
  }

  get open(): readonly string[] {
    return [...this.#open];
  }
}

/** What holds of the events of any session, whatever was sent to it. */
function checkOrder(events: readonly Json[]): Pairs {
  const pairs = new Pairs();
  let speaking: unknown;
  for (const event of events) {
    const response = event['response'] as Json | undefined;
    const part = `part ${event['response_id']} ${event['item_id']} ${event['content_index']}`;
    const output = `output ${event['response_id']} ${(event['item'] as Json | undefined)?.['id']}`;
    switch (event['type']) {
      case 'response.created':
        pairs.begin(`response ${response?.['id']}`);
        break;
      case 'response.done':
        expect(pairs.open.filter((name) => name.includes(` ${response?.['id']} `))).toEqual([]);
        pairs.end(`response ${response?.['id']}`);
        break;
      case 'response.output_item.added':
        pairs.during(`response ${event['response_id']}`);
        pairs.begin(output);
        break;
      case 'response.output_item.done':
        pairs.end(output);
        break;
      case 'response.content_part.added':
        pairs.begin(part);
        break;
      case 'response.output_audio.delta':
      case 'response.output_audio_transcript.delta':
      case 'response.output_text.delta':
      case 'response.output_audio.done':
        pairs.during(part);
        break;
      case 'response.content_part.done':
        pairs.end(part);
        break;
      case 'output_audio_buffer.started':
        pairs.begin(`playback ${event['response_id']}`);
        break;
      case 'output_audio_buffer.stopped':
      case 'output_audio_buffer.cleared':
        pairs.end(`playback ${event['response_id']}`);
        break;
      case 'input_audio_buffer.speech_started':
        expect(event['item_id']).not.toBe(speaking);
        speaking = event['item_id'];
        break;
      case 'input_audio_buffer.speech_stopped':
        expect(event['item_id']).toBe(speaking);
        break;
      default:
    }
  }
  return pairs;
}

const RUNS = 60;

describe('whatever clients send and models say', () => {
  it('every event is one of the reference, in an order that makes sense, and every response ends', () => {
    fc.assert(
      fc.property(media, fc.array(step, { maxLength: 40, size: 'max' }), (kind, steps) => {
        const { bench, other } = tell(kind, steps);
        bench.model.emit({ type: 'closed', reason: 'test' });
        const { open } = checkOrder(other.events);
        expect(open.filter((name) => !name.startsWith('playback'))).toEqual([]);
        expect(other.closed).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  it('what one client does wrong is told to no other', () => {
    fc.assert(
      fc.property(media, fc.array(badText, { maxLength: 30 }), (kind, texts) => {
        const { bench, other } = tell(kind, []);
        other.take();
        for (const text of texts) bench.client.channel.receive(text);
        expect(other.events.filter(({ type }) => type === 'error')).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  it('nobody is left with the floor for ever', () => {
    fc.assert(
      fc.property(media, fc.array(step, { maxLength: 30, size: 'max' }), (kind, steps) => {
        const { bench } = tell(kind, steps);
        bench.client.send({
          type: 'session.update',
          session: { type: 'realtime', audio: { input: { turn_detection: { type: 'server_vad' } } } },
        });
        for (const name of ['r1', 'r2', 'r3', 'r4']) bench.model.emit({ type: 'response_done', responseId: name, status: 'completed' });
        for (const { requestId } of bench.model.requests) bench.model.emit({ type: 'fault', code: 'x', message: 'x', requestId });
        bench.model.onCommit = () => bench.model.say(`last_${bench.clock.now()}`, 100);
        bench.voice(1000).silence(bench.session.snapshot().playoutQueueMs + 8000);
        bench.client.take();
        bench.client.send({ type: 'response.cancel' });
        bench.voice(1000).silence(4000);
        expect(['idle', 'waiting']).toContain(bench.session.snapshot().state);
      }),
      { numRuns: RUNS },
    );
  });

  it('any text is parsed as JSON.parse does, or not at all', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc.jsonValue().map((value) => JSON.stringify(value, null, 1)),
        ),
        (text) => {
          const parsed = parseJson(text);
          let expected: unknown;
          try {
            expected = JSON.parse(text);
          } catch {
            // undefined, as parseJson says
          }
          if (!text.includes('__proto__')) expect(parsed).toEqual(expected);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
