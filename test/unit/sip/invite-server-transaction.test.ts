import { describe, expect, it } from 'vitest';
import { InviteServerTransaction } from '../../../src/sip/embedded/invite-server-transaction.ts';
import { record } from './recorder.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const open = (reliable = false) => record(new InviteServerTransaction({ reliable }));

describe('the INVITE server transaction (RFC 3261 §17.2.1, RFC 6026)', () => {
  it('repeats a refusal on Timer G from 0.5 s to 4 s apart and gives up on Timer H at 32 s', () => {
    const { clock, log, machine, run } = open();
    run((now) => machine.respond(now, 486, bytes('486')));
    clock.advance(60_000);
    const repeats = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map((at) => [at, 'send 486']);
    expect(log).toEqual([...repeats, [32_000, 'timed_out'], [32_000, 'terminated']]);
    expect(clock.nextTimer()).toBeUndefined();
  });

  it('stops repeating at the ACK, absorbs more of them and ends after Timer I', () => {
    const { clock, log, machine, run } = open();
    run((now) => machine.respond(now, 486, bytes('486')));
    clock.advance(600);
    run((now) => machine.handleAck(now));
    expect(machine.state).toBe('confirmed');
    clock.advance(100);
    run((now) => machine.handleAck(now));
    run((now) => machine.handleInvite(now));
    clock.advance(10_000);
    expect(log).toEqual([
      [0, 'send 486'],
      [500, 'send 486'],
      [5600, 'terminated'],
    ]);
  });

  it('answers a repeated INVITE with the latest provisional response, and with nothing before there is one', () => {
    const { clock, log, machine, run } = open();
    run((now) => machine.handleInvite(now));
    run((now) => machine.respond(now, 100, bytes('100')));
    clock.advance(500);
    run((now) => machine.handleInvite(now));
    run((now) => machine.respond(now, 180, bytes('180')));
    run((now) => machine.handleInvite(now));
    expect(log).toEqual([
      [0, 'send 100'],
      [500, 'send 100'],
      [500, 'send 180'],
      [500, 'send 180'],
    ]);
  });

  it('answers a repeated INVITE with the refusal at once', () => {
    const { clock, log, machine, run } = open();
    run((now) => machine.respond(now, 404, bytes('404')));
    clock.advance(100);
    run((now) => machine.handleInvite(now));
    expect(log).toEqual([
      [0, 'send 404'],
      [100, 'send 404'],
    ]);
  });

  it('absorbs repeated INVITEs and ACKs after a 2xx until Timer L, and lets the user repeat the 2xx', () => {
    const { clock, log, machine, run } = open();
    run((now) => machine.respond(now, 200, bytes('200')));
    clock.advance(500);
    run((now) => machine.handleInvite(now));
    run((now) => machine.handleAck(now));
    run((now) => machine.respond(now, 200, bytes('200 again')));
    run((now) => machine.respond(now, 486, bytes('486')));
    clock.advance(40_000);
    expect(log).toEqual([
      [0, 'send 200'],
      [500, 'send 200 again'],
      [32_000, 'terminated'],
    ]);
  });

  it('repeats nothing over a reliable transport, but still waits for the ACK', () => {
    const { clock, log, machine, run } = open(true);
    run((now) => machine.respond(now, 486, bytes('486')));
    clock.advance(1000);
    run((now) => machine.handleAck(now));
    clock.advance(0);
    expect(log).toEqual([
      [0, 'send 486'],
      [1000, 'terminated'],
    ]);
    const silent = open(true);
    silent.run((now) => silent.machine.respond(now, 486, bytes('486')));
    silent.clock.advance(40_000);
    expect(silent.log).toEqual([
      [0, 'send 486'],
      [32_000, 'timed_out'],
      [32_000, 'terminated'],
    ]);
  });

  it('sends a refusal that sheds load once an INVITE', () => {
    const { clock, log, machine, run } = open();
    run((now) => machine.respond(now, 503, bytes('503'), false));
    clock.advance(500);
    run((now) => machine.handleInvite(now));
    clock.advance(40_000);
    expect(log).toEqual([
      [0, 'send 503'],
      [500, 'send 503'],
      [32_000, 'timed_out'],
      [32_000, 'terminated'],
    ]);
  });

  it('sends one final response only', () => {
    const { clock, log, machine, run } = open();
    run((now) => machine.respond(now, 486, bytes('486')));
    run((now) => machine.respond(now, 200, bytes('200')));
    run((now) => machine.respond(now, 180, bytes('180')));
    run((now) => machine.respond(now, 603, bytes('603')));
    clock.advance(100);
    expect(log).toEqual([[0, 'send 486']]);
  });
});
