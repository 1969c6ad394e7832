import { describe, expect, it } from 'vitest';
import { InviteClientTransaction } from '../../../src/sip/embedded/invite-client-transaction.ts';
import { NonInviteClientTransaction } from '../../../src/sip/embedded/non-invite-client-transaction.ts';
import { record, responseOf } from './recorder.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

const openInvite = (reliable = false) => {
  const opened = record(
    new InviteClientTransaction({ reliable, message: bytes('INVITE'), acknowledge: ({ status }) => bytes(`ACK of ${status}`) }),
  );
  opened.run((now) => opened.machine.start(now));
  return opened;
};

const openRequest = (reliable = false) => {
  const opened = record(new NonInviteClientTransaction({ reliable, message: bytes('BYE') }));
  opened.run((now) => opened.machine.start(now));
  return opened;
};

describe('the INVITE client transaction (RFC 3261 §17.1.1, RFC 6026)', () => {
  it('repeats the INVITE on Timer A, doubling without a cap, and gives up on Timer B at 32 s', () => {
    const { clock, log } = openInvite();
    clock.advance(60_000);
    const repeats = [0, 500, 1500, 3500, 7500, 15_500, 31_500].map((at) => [at, 'send INVITE']);
    expect(log).toEqual([...repeats, [32_000, 'timed_out'], [32_000, 'terminated']]);
  });

  it('stops repeating at a provisional response and then waits without a limit of its own', () => {
    const { clock, log, machine, run } = openInvite();
    clock.advance(100);
    run((now) => machine.handleResponse(now, responseOf(100)));
    clock.advance(100_000);
    run((now) => machine.handleResponse(now, responseOf(180)));
    expect(log).toEqual([
      [0, 'send INVITE'],
      [100, 'response 100'],
      [100_100, 'response 180'],
    ]);
  });

  it('acknowledges every copy of a refusal, passes it on once and ends after Timer D', () => {
    const { clock, log, machine, run } = openInvite();
    clock.advance(100);
    run((now) => machine.handleResponse(now, responseOf(486)));
    clock.advance(500);
    run((now) => machine.handleResponse(now, responseOf(486)));
    run((now) => machine.handleResponse(now, responseOf(200)));
    clock.advance(40_000);
    expect(log).toEqual([
      [0, 'send INVITE'],
      [100, 'send ACK of 486'],
      [100, 'response 486'],
      [600, 'send ACK of 486'],
      [32_100, 'terminated'],
    ]);
  });

  it('passes every 2xx on until Timer M, because forks and repeats need their ACK', () => {
    const { clock, log, machine, run } = openInvite();
    run((now) => machine.handleResponse(now, responseOf(180)));
    run((now) => machine.handleResponse(now, responseOf(200)));
    clock.advance(500);
    run((now) => machine.handleResponse(now, responseOf(200)));
    run((now) => machine.handleResponse(now, responseOf(486)));
    clock.advance(40_000);
    expect(log).toEqual([
      [0, 'send INVITE'],
      [0, 'response 180'],
      [0, 'response 200'],
      [500, 'response 200'],
      [32_000, 'terminated'],
    ]);
  });

  it('takes a 2xx or a refusal without a provisional response before', () => {
    const answered = openInvite();
    answered.run((now) => answered.machine.handleResponse(now, responseOf(200)));
    expect(answered.machine.state).toBe('accepted');
    const refused = openInvite(true);
    refused.run((now) => refused.machine.handleResponse(now, responseOf(603)));
    refused.clock.advance(0); // Timer D is 0 over a reliable transport
    expect(refused.log.map(([, what]) => what)).toEqual(['send INVITE', 'send ACK of 603', 'response 603', 'terminated']);
  });

  it('repeats nothing over a reliable transport', () => {
    const { clock, log } = openInvite(true);
    clock.advance(60_000);
    expect(log).toEqual([
      [0, 'send INVITE'],
      [32_000, 'timed_out'],
      [32_000, 'terminated'],
    ]);
  });

  it('acknowledges a refusal after ringing', () => {
    const { log, machine, run } = openInvite();
    run((now) => machine.handleResponse(now, responseOf(180)));
    run((now) => machine.handleResponse(now, responseOf(486)));
    expect(log.slice(2)).toEqual([
      [0, 'send ACK of 486'],
      [0, 'response 486'],
    ]);
  });
});

describe('the non-INVITE client transaction (RFC 3261 §17.1.2)', () => {
  it('repeats the request on Timer E up to 4 s apart and gives up on Timer F at 32 s', () => {
    const { clock, log } = openRequest();
    clock.advance(60_000);
    const repeats = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map((at) => [at, 'send BYE']);
    expect(log).toEqual([...repeats, [32_000, 'timed_out'], [32_000, 'terminated']]);
  });

  it('repeats every 4 s once a provisional response came, still within Timer F', () => {
    const { clock, log, machine, run } = openRequest();
    clock.advance(100);
    run((now) => machine.handleResponse(now, responseOf(100)));
    run((now) => machine.handleResponse(now, responseOf(100)));
    clock.advance(60_000);
    expect(log).toEqual([
      [0, 'send BYE'],
      [100, 'response 100'],
      [100, 'response 100'],
      ...[500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500].map((at) => [at, 'send BYE']),
      [32_000, 'timed_out'],
      [32_000, 'terminated'],
    ]);
  });

  it('passes the final response on once and absorbs its copies until Timer K', () => {
    for (const provisional of [false, true]) {
      const { clock, log, machine, run } = openRequest();
      if (provisional) run((now) => machine.handleResponse(now, responseOf(100)));
      run((now) => machine.handleResponse(now, responseOf(200)));
      clock.advance(100);
      run((now) => machine.handleResponse(now, responseOf(200)));
      clock.advance(40_000);
      expect(log.filter(([, what]) => what !== 'response 100')).toEqual([
        [0, 'send BYE'],
        [0, 'response 200'],
        [5000, 'terminated'],
      ]);
    }
  });

  it('repeats nothing over a reliable transport and ends with its response', () => {
    const { clock, log, machine, run } = openRequest(true);
    clock.advance(10_000);
    run((now) => machine.handleResponse(now, responseOf(481)));
    clock.advance(0);
    expect(log).toEqual([
      [0, 'send BYE'],
      [10_000, 'response 481'],
      [10_000, 'terminated'],
    ]);
  });
});
