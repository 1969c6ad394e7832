import { describe, expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import type { ModelConnection, ModelEvent } from '../../../src/realtime/model.ts';
import { Session } from '../../../src/realtime/session.ts';
import type { SessionEvent } from '../../../src/realtime/session-event.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A session that is answered, with a model that notes what is asked of it. */
function setting() {
  const clock = new FakeClock();
  const asked: string[] = [];
  const events: SessionEvent[] = [];
  let emit: (event: ModelEvent) => void = () => undefined;
  const connection: ModelConnection = {
    appendAudio: () => void asked.push('audio'),
    start: () => void asked.push('start'),
    speechStarted: () => undefined,
    commitTurn: () => undefined,
    respond: ({ requestId }) => void asked.push(`respond ${requestId}`),
    dtmf: (digit) => void asked.push(`key ${digit}`),
    cancelResponse: (id) => void asked.push(`cancel ${id}`),
    truncate: (id, sentMs) => void asked.push(`truncate ${id} ${sentMs}`),
    pause: () => void asked.push('pause'),
    resume: () => void asked.push('resume'),
    close: () => undefined,
  };
  const session = new Session({
    ...{ clock, log: createLog('silent', { write: () => undefined }) },
    createVoiceDetector: () => ({ process: () => ({ voiced: false, levelDb: -70 }), free: () => undefined }),
    model: {
      name: 'noted',
      connect: (onEvent) => {
        emit = onEvent;
        return connection;
      },
    },
  });
  session.observe((event) => events.push(event));
  session.handleLegEvent({ type: 'answered' });
  const out = new Int16Array(480);
  return { clock, asked, events, session, out, emit: (event: ModelEvent) => emit(event) };
}

describe('an agent that takes no part for a while', () => {
  test('stops what it says, tells the model how far it came, and is asked nothing until it is back', () => {
    const { clock, asked, events, session, out, emit } = setting();
    emit({ type: 'response_started', responseId: 'r' });
    emit({ type: 'audio', responseId: 'r', itemId: 'i', pcm: new Int16Array(24_000).fill(1000) });
    for (let n = 0; n < 5; n++) {
      clock.advance(20);
      expect(session.pullDownlink(out, clock.now())).toBe(true);
    }
    asked.length = 0;
    session.pause();
    session.pause();
    expect(asked).toEqual(['cancel r', expect.stringMatching(/^truncate i 1\d\d$/), 'pause']);
    const request = { requestId: 'q', conversation: 'auto' as const, metadata: null };
    expect(session.commands.respond(request)).toMatchObject({ code: 'invalid_state' });
    emit({ type: 'audio', responseId: 'r', itemId: 'i', pcm: new Int16Array(24_000).fill(1000) });
    session.resume();
    session.resume();
    clock.advance(20);
    expect(session.pullDownlink(out, clock.now())).toBe(false);
    expect(session.commands.respond(request)).toBeUndefined();
    expect(asked.slice(3)).toEqual(['resume', 'respond q']);
    expect(events.some(({ type }) => type === 'ended')).toBe(false);
  });

  test('is not heard, then or later, when its model speaks all the same', () => {
    const { clock, asked, session, out, emit } = setting();
    const says = (responseId: string): void => {
      emit({ type: 'response_started', responseId });
      emit({ type: 'audio', responseId, itemId: `${responseId}_i`, pcm: new Int16Array(24_000).fill(1000) });
      emit({ type: 'response_done', responseId, status: 'completed' });
    };
    const heard = (): number => {
      let sounded = 0;
      for (let n = 0; n < 100; n++) {
        clock.advance(20);
        if (session.pullDownlink(out, clock.now())) sounded += 1;
      }
      return sounded;
    };
    session.pause();
    asked.length = 0;
    says('unasked');
    expect(heard()).toBe(0);
    expect(asked.filter((each) => each !== 'audio')).toEqual(['cancel unasked']);
    session.resume();
    expect(heard()).toBe(0);
    says('answer');
    expect(heard()).toBe(50);
  });

  test('is nothing before the call is answered, and nothing after it is over', () => {
    const { asked, session } = setting();
    session.end('remote_hangup');
    asked.length = 0;
    session.pause();
    session.resume();
    session.tell({ type: 'caller_held', held: true });
    expect(asked).toEqual([]);
  });
});
