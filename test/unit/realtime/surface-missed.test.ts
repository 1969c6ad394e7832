import { beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import type { Session } from '../../../src/realtime/session.ts';
import type { SessionEvent } from '../../../src/realtime/session-event.ts';
import { LOCAL_SETTINGS } from '../../../src/realtime/surface/effective-session.ts';
import { RealtimeSurface } from '../../../src/realtime/surface/realtime-surface.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A session that says what the test says, while somebody listens. */
class SayingSession {
  listener: ((event: SessionEvent) => void) | undefined;
  configure(): void {}
  end(): void {}
  observe(listener: ((event: SessionEvent) => void) | undefined): void {
    this.listener = listener;
  }
  press(...digits: string[]): void {
    for (const digit of digits) this.listener?.({ type: 'dtmf', digit });
  }
}

class Client {
  readonly events: string[] = [];
  open(surface: RealtimeSurface, isClient = true) {
    const send = (text: string): boolean => {
      const event = JSON.parse(text) as { type: string; event?: string };
      this.events.push(event.event ?? event.type);
      return true;
    };
    return surface.open({ send, close: () => undefined }, { ephemeral: false, isClient });
  }
}

const BEGINNING = ['session.created', 'conversation.created'];

let session: SayingSession;
let surface: RealtimeSurface;
let client: Client;

beforeEach(() => {
  session = new SayingSession();
  client = new Client();
  surface = new RealtimeSurface(
    { clock: new FakeClock(), log: createLog('silent'), session: session as unknown as Session },
    { sessionId: 'rtc_0_x', media: 'browser', settings: LOCAL_SETTINGS, ephemeral: false, awaitsClient: true },
  );
});

describe('events before the data channel', () => {
  test('come after session.created, in order, and then those of now', () => {
    session.press('1', '2');
    client.open(surface);
    session.press('3');
    expect(client.events).toEqual([...BEGINNING, '1', '2', '3']);
  });

  test('are for the client itself, once: not for a sideband that is there sooner, nor for a second channel', () => {
    session.press('1');
    const sideband = new Client();
    sideband.open(surface, false);
    session.press('2');
    expect(sideband.events).toEqual([...BEGINNING, '2']);
    client.open(surface);
    expect(client.events).toEqual([...BEGINNING, '1', '2']);
    const second = new Client();
    second.open(surface);
    expect(second.events).toEqual(BEGINNING);
  });

  test('are kept over a sideband that comes and goes', () => {
    const sideband = new Client();
    const opened = sideband.open(surface, false);
    session.press('1');
    opened?.close();
    session.press('2');
    client.open(surface);
    expect(client.events).toEqual([...BEGINNING, '1', '2']);
  });

  test('are all dropped when they become too many, and no more are made for nobody', () => {
    session.press(...Array<string>(300).fill('5'));
    expect(session.listener).toBeUndefined();
    client.open(surface);
    expect(client.events).toEqual(BEGINNING);
    session.press('6');
    expect(client.events).toEqual([...BEGINNING, '6']);
  });

  test('are not made at all where no client is expected', () => {
    const quiet = new SayingSession();
    new RealtimeSurface(
      { clock: new FakeClock(), log: createLog('silent'), session: quiet as unknown as Session },
      { sessionId: 'rtc_0_y', media: 'phone', settings: LOCAL_SETTINGS, ephemeral: false },
    );
    expect(quiet.listener).toBeUndefined();
  });
});
