import { describe, expect, test } from 'vitest';
import { type DeskOutput, MOST_OUTPUT, MOST_RUNNING, ToolDesk } from '../../../src/realtime/tools/tool-desk.ts';
import type { ToolDefinition } from '../../../src/realtime/tools/tool-source.ts';

/** A desk, and what it gave out: `time what id …`. */
class DeskBench {
  readonly desk = new ToolDesk();
  now = 0;
  readonly said: string[] = [];

  call(id: string, tool: Partial<ToolDefinition> = {}, text = '{}', responseId = 'r1'): this {
    this.desk.handleCall({ id, callId: `call_${id}`, responseId, name: 'look' }, { name: 'look', ...tool }, text, this.now);
    return this.drain();
  }

  do(act: (desk: ToolDesk, now: number) => void): this {
    act(this.desk, this.now);
    return this.drain();
  }

  done(id: string, output = 'ok', silent = false): this {
    return this.do((desk, now) => desk.handleNews(id, { type: 'done', output, silent }, now));
  }

  over(responseId = 'r1'): this {
    return this.do((desk, now) => desk.handleResponseDone(responseId, now));
  }

  free(): this {
    return this.do((desk) => desk.handleFree());
  }

  /** Time goes by, and every timer runs when it is due. */
  wait(ms: number): this {
    const until = this.now + ms;
    for (let at = this.desk.nextTimeout(); at !== undefined && at <= until; at = this.desk.nextTimeout()) {
      this.now = at;
      this.do((desk, now) => desk.handleTimeout(now));
    }
    this.now = until;
    return this;
  }

  take(): string[] {
    return this.said.splice(0);
  }

  drain(): this {
    for (let output = this.desk.pollOutput(); output; output = this.desk.pollOutput()) this.said.push(`${this.now} ${line(output)}`);
    return this;
  }
}

function line(output: DeskOutput): string {
  switch (output.type) {
    case 'ask':
    case 'waited':
      return output.type;
    case 'strange':
      return `strange ${output.what}`;
    case 'settled':
      return `settled ${output.call.id} ${output.outcome.type === 'completed' ? output.outcome.output : output.outcome.code}`;
    case 'abort':
      return `abort ${output.call.id} ${output.reason}`;
    case 'progress':
      return `progress ${output.call.id} ${output.message}`;
    default:
      return `${output.type} ${output.call.id}`;
  }
}

describe('a call of a tool', () => {
  test('runs, and the model is asked when it has its result and nobody speaks', () => {
    const bench = new DeskBench().call('a').over();
    bench.now = 700;
    bench.done('a', 'sunny').free().free();
    expect(bench.take()).toEqual(['0 start a', '700 settled a sunny', '700 ask']);
    expect(bench.desk.isBusy).toBe(false);
  });

  test('that is answered while its response is still written is told when that is over', () => {
    expect(new DeskBench().call('a').done('a').free().over().free().take()).toEqual(['0 start a', '0 settled a ok', '0 ask']);
  });

  test('waits for the others of its response before the model is asked', () => {
    const bench = new DeskBench().call('a').call('b').over().done('b').free();
    expect(bench.take()).toEqual(['0 start a', '0 start b', '0 settled b ok']);
    expect(bench.done('a').free().take()).toEqual(['0 settled a ok', '0 ask']);
  });

  test('that nobody answers fails when its time is over, and the answer that comes later is dropped', () => {
    const bench = new DeskBench().call('a', { timeoutMs: 2000 }).over().wait(5000).free();
    expect(bench.take()).toEqual(['0 start a', '2000 abort a timeout', '2000 settled a timeout', '5000 ask']);
    expect(bench.done('a').free().take()).toEqual(['5000 strange late_answer']);
  });

  test('has half a minute where its tool says nothing of time, and an hour at the most', () => {
    expect(new DeskBench().call('a').over().wait(60_000).take()[1]).toBe('30000 abort a timeout');
    expect(new DeskBench().call('a', { timeoutMs: 1e12 }).over().wait(4_000_000).take()[1]).toBe('3600000 abort a timeout');
  });

  test.each([
    ['{', 'invalid_arguments'],
    ['[1]', 'invalid_arguments'],
    ['null', 'invalid_arguments'],
    [`{"a":"${'x'.repeat(70_000)}"}`, 'invalid_arguments'],
  ])('with arguments like %.12s is refused without a start', (text, code) => {
    expect(new DeskBench().call('a', {}, text).over().free().take()).toEqual([`0 settled a ${code}`, '0 ask']);
  });

  test('with no arguments at all has an empty object', () => {
    expect(new DeskBench().call('a', {}, '').take()).toEqual(['0 start a']);
  });

  test('that gives too much, or no text, has failed', () => {
    expect(
      new DeskBench()
        .call('a')
        .over()
        .done('a', 'x'.repeat(MOST_OUTPUT + 1))
        .take()[1],
    ).toBe('0 settled a output_too_large');
    expect(
      new DeskBench()
        .call('a')
        .over()
        .done('a', { no: 'text' } as never)
        .take()[1],
    ).toBe('0 settled a invalid_output');
  });

  test('that is one too many at a time is refused', () => {
    const bench = new DeskBench();
    for (let n = 0; n <= MOST_RUNNING; n++) bench.call(`c${n}`);
    expect(bench.over().take().slice(MOST_RUNNING)).toEqual([`0 settled c${MOST_RUNNING} too_many_calls`]);
  });

  test('says how far it is, which does not make it live longer', () => {
    const bench = new DeskBench().call('a', { timeoutMs: 1000 }).over();
    bench.now = 900;
    bench.do((desk, now) => desk.handleNews('a', { type: 'progress', message: 'half' }, now)).wait(200);
    expect(bench.take()).toEqual(['0 start a', '900 progress a half', '1000 abort a timeout', '1000 settled a timeout']);
  });
});

describe('a response that is cancelled', () => {
  test('lets its call go on, whose result is put down without a word', () => {
    const bench = new DeskBench().call('a').do((desk, now) => desk.handleResponseStopped('r1', now));
    expect(bench.done('a').free().take()).toEqual(['0 start a', '0 settled a ok']);
  });

  test('ends the call of a tool that says so', () => {
    const bench = new DeskBench().call('a', { whenCancelled: 'abort' }).do((desk, now) => desk.handleResponseStopped('r1', now));
    expect(bench.free().take()).toEqual(['0 start a', '0 abort a cancelled', '0 settled a cancelled']);
  });
});

describe('approval', () => {
  test('is asked for, and then the call runs', () => {
    const bench = new DeskBench().call('a', { needsApproval: true, timeoutMs: 500 }).over().wait(20_000);
    bench.do((desk, now) => expect(desk.approve('a', true, undefined, now)).toBe(true));
    expect(bench.wait(1000).take()).toEqual(['0 approval a', '20000 start a', '20500 abort a timeout', '20500 settled a timeout']);
  });

  test('that is not given, or not in time, is a failure the model is told of', () => {
    const denied = new DeskBench()
      .call('a', { needsApproval: true })
      .over()
      .do((desk, now) => void desk.approve('a', false, 'no', now));
    expect(denied.free().take()).toEqual(['0 approval a', '0 settled a not_approved', '0 ask']);
    const forgotten = new DeskBench().call('a', { needsApproval: true }).over().wait(200_000);
    expect(forgotten.take()).toEqual(['0 approval a', '120000 settled a approval_timeout']);
    forgotten.do((desk, now) => expect(desk.approve('a', true, undefined, now)).toBe(false));
  });
});

describe('the model', () => {
  test('that was asked by somebody else is not asked again', () => {
    const bench = new DeskBench()
      .call('a')
      .over()
      .done('a')
      .do((desk) => desk.handleAsked(true));
    expect(bench.free().take()).toEqual(['0 start a', '0 settled a ok']);
  });

  test('that does nothing but call tools is not asked for ever', () => {
    const bench = new DeskBench();
    for (let n = 0; n < 40; n++) bench.call(`c${n}`, {}, '{}', `r${n}`).over(`r${n}`).done(`c${n}`).free();
    const said = bench.take();
    expect(said.filter((each) => each === '0 ask')).toHaveLength(24);
    expect(said.filter((each) => each.includes('endless_calls'))).toHaveLength(1);
    bench
      .do((desk) => desk.handleAsked(true))
      .call('z', {}, '{}', 'rz')
      .over('rz')
      .done('z')
      .free();
    expect(bench.take()).toContain('0 ask');
  });

  test('is not asked for a silent result', () => {
    expect(new DeskBench().call('a').over().done('a', 'ok', true).free().take()).toEqual(['0 start a', '0 settled a ok']);
  });
});

describe("calls beside a program's own", () => {
  const mixed = (): DeskBench =>
    new DeskBench()
      .call('a')
      .do((desk, now) => desk.handleClientCall('r1', 'theirs', now))
      .over()
      .done('a');

  test('leave it to the program to ask', () => {
    const bench = mixed()
      .free()
      .do((desk, now) => desk.handleClientResult('theirs', now))
      .free();
    expect(
      bench
        .do((desk) => desk.handleAsked(true))
        .wait(60_000)
        .free()
        .take(),
    ).toEqual(['0 start a', '0 settled a ok']);
  });

  test('are gone on with a second after the program has answered and not asked', () => {
    const bench = mixed()
      .do((desk, now) => desk.handleClientResult('theirs', now))
      .wait(999)
      .free()
      .wait(1)
      .free();
    expect(bench.take()).toEqual(['0 start a', '0 settled a ok', '1000 waited', '1000 ask']);
  });

  test('are gone on with after half a minute of a program that says nothing', () => {
    expect(mixed().wait(30_000).free().take()).toEqual(['0 start a', '0 settled a ok', '30000 waited', '30000 ask']);
  });
});

test('a tool that is withdrawn ends its calls, and the end of the session all of them', () => {
  const bench = new DeskBench().call('a').call('b', { name: 'other' }).over();
  bench.do((desk, now) => desk.handleWithdrawn((name) => name === 'other', now));
  expect(bench.take().slice(2)).toEqual(['0 abort b withdrawn', '0 settled b withdrawn']);
  bench.do((desk, now) => desk.close(now)).free();
  expect(bench.take()).toEqual(['0 abort a ended', '0 settled a ended']);
  expect(bench.call('c').done('a').take()).toEqual([]);
  expect(bench.desk.nextTimeout()).toBeUndefined();
});
