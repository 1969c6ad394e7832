import { describe, expect, it } from 'vitest';
import { EmbeddedAgent } from '../../../src/realtime/embedded/agent.ts';
import { loadPrompts, type PromptName, spokenNumber } from '../../../src/realtime/embedded/prompts.ts';
import type { CallContext, ModelEvent } from '../../../src/realtime/model.ts';

const prompts = await loadPrompts();
const NAMES = Object.keys(prompts) as PromptName[];

/** What was said, as names of prompts, and what was asked for. */
function talk(options: { call?: Partial<CallContext>; transferTarget?: string } = {}) {
  const events: ModelEvent[] = [];
  const agent = new EmbeddedAgent({ prompts }, options.transferTarget === undefined ? {} : { transferTarget: options.transferTarget });
  const call: CallContext = {
    mayCallBack: false,
    statistics: () => ({ durationMs: 42_400, turns: 3, responseMs: 612, lostPercent: 0.4 }),
    ...options.call,
  };
  const connection = agent.connect((event) => events.push(event), call);
  return {
    connection,
    said: (): string[] => {
      const starts = events.flatMap((event) => (event.type === 'audio' ? [event.pcm] : []));
      return starts.flatMap(
        (pcm) => NAMES.find((name) => prompts[name].buffer === pcm.buffer && prompts[name].byteOffset === pcm.byteOffset) ?? [],
      );
    },
    asked: (): ModelEvent[] => events.filter(({ type }) => type === 'transfer' || type === 'call_back' || type === 'hangup'),
    lastResponse: (): string => events.flatMap((event) => (event.type === 'response_started' ? [event.responseId] : [])).at(-1) ?? '',
  };
}

describe('key 4', () => {
  it('tells how long, how many turns, how fast and how much was lost, digit by digit', () => {
    const { connection, said } = talk();
    connection.dtmf('4');
    expect(said()).toEqual([
      ...['digit-4', 'digit-2', 'seconds', 'digit-3', 'turns'],
      ...['digit-6', 'digit-1', 'digit-2', 'milliseconds', 'digit-0', 'percent'],
    ]);
  });

  it('leaves the speed out before the first answer', () => {
    const { connection, said } = talk({ call: { statistics: () => ({ durationMs: 0, turns: 0, responseMs: undefined, lostPercent: 0 }) } });
    connection.dtmf('4');
    expect(said()).not.toContain('milliseconds');
  });

  it('counts nothing below zero', () => {
    expect(spokenNumber(prompts, -5)).toEqual([prompts['digit-0']]);
  });
});

describe('key 5', () => {
  it('asks for the transfer when it has been announced, and no sooner', () => {
    const { connection, said, asked, lastResponse } = talk({ transferTarget: 'sip:desk@192.0.2.50' });
    connection.dtmf('5');
    expect(said()).toEqual(['transfer']);
    expect(asked()).toEqual([]);
    connection.played?.(lastResponse());
    expect(asked()).toEqual([{ type: 'transfer', target: 'sip:desk@192.0.2.50' }]);
    connection.dtmf('1');
    connection.transferred?.('accepted');
    connection.transferred?.('failed');
    expect(said()).toEqual(['transfer', 'unavailable']);
  });

  it('is not available where nobody is configured', () => {
    const { connection, said, asked } = talk();
    connection.dtmf('5');
    expect([said(), asked()]).toEqual([['unavailable'], []]);
  });
});

describe('key 9', () => {
  it('promises to call back, and hangs up', () => {
    const { connection, said, asked } = talk({ call: { mayCallBack: true } });
    connection.dtmf('9');
    expect([said(), asked()]).toEqual([['callback'], [{ type: 'call_back' }]]);
  });

  it('is not available to a caller that may not be called', () => {
    const { connection, said, asked } = talk();
    connection.dtmf('9');
    expect([said(), asked()]).toEqual([['unavailable'], []]);
  });
});

it('any other key says the whole menu', () => {
  const { connection, said } = talk();
  connection.dtmf('0');
  expect(said()).toEqual(['menu', 'more']);
});
