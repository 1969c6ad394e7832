import { describe, expect, it } from 'vitest';
import { CallMachine } from '../../../src/sip/embedded/call-machine.ts';
import { PendingMachine } from '../../../src/sip/embedded/pending-machine.ts';
import { record } from './recorder.ts';

const answered = () => {
  const opened = record(new CallMachine());
  opened.run((now) => opened.machine.handleSuccessSent(now, 1, Buffer.from('200')));
  return opened;
};

describe('an answered call (RFC 3261 §13.3.1.4, §15.1)', () => {
  it('repeats the 2xx from T1 to T2 apart, then sends BYE and ends after 32 s without ACK', () => {
    const { clock, log } = answered();
    clock.advance(60_000);
    const repeats = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map((at) => [at, 'send 200']);
    expect(log).toEqual([...repeats, [32_000, 'send_bye'], [32_000, 'ended']]);
    expect(clock.nextTimer()).toBeUndefined();
  });

  it('stops repeating at the ACK of this 2xx, and not at another one', () => {
    const { clock, log, machine, run } = answered();
    run(() => machine.handleAck(7));
    clock.advance(600);
    run(() => machine.handleAck(1));
    run(() => machine.handleAck(1));
    clock.advance(60_000);
    expect(log).toEqual([
      [500, 'send 200'],
      [600, 'acknowledged'],
    ]);
    expect(machine.state).toBe('confirmed');
  });

  it('keeps BYE back until the ACK is in', () => {
    const { clock, log, machine, run } = answered();
    run(() => machine.handle('hangup'));
    run(() => machine.handle('hangup'));
    clock.advance(1600);
    run(() => machine.handleAck(1));
    clock.advance(100);
    run(() => machine.handle('bye_done'));
    expect(log).toEqual([
      [500, 'send 200'],
      [1500, 'send 200'],
      [1600, 'acknowledged'],
      [1600, 'send_bye'],
      [1700, 'ended'],
    ]);
  });

  it('sends the BYE that was kept back when the ACK never comes', () => {
    const { clock, log, machine, run } = answered();
    run(() => machine.handle('hangup'));
    clock.advance(40_000);
    expect(log.slice(-2)).toEqual([
      [32_000, 'send_bye'],
      [32_000, 'ended'],
    ]);
  });

  it('ends once, whoever hangs up first', () => {
    for (const first of ['hangup', 'bye'] as const) {
      const { clock, log, machine, run } = answered();
      run(() => machine.handleAck(1));
      run(() => machine.handle(first));
      run(() => machine.handle('bye'));
      run(() => machine.handle('bye_done'));
      run(() => machine.handle('hangup'));
      clock.advance(60_000);
      expect(log.filter(([, what]) => what === 'ended')).toHaveLength(1);
    }
  });

  it('takes a BYE before the ACK', () => {
    for (const hangup of [false, true]) {
      const { clock, log, machine, run } = answered();
      if (hangup) run(() => machine.handle('hangup'));
      run(() => machine.handle('bye'));
      clock.advance(60_000);
      expect(log).toEqual([[0, 'ended']]);
    }
  });

  it('ends without a BYE when the peer has lost the dialog', () => {
    for (const state of ['unacknowledged', 'hangup_waits', 'confirmed'] as const) {
      const { clock, log, machine, run } = answered();
      if (state === 'hangup_waits') run(() => machine.handle('hangup'));
      if (state === 'confirmed') run(() => machine.handleAck(1));
      expect(machine.state).toBe(state);
      run(() => machine.handle('lost'));
      clock.advance(60_000);
      expect(log.at(-1)).toEqual([0, 'ended']);
    }
  });

  it('repeats the 2xx of a re-INVITE, and ends the call when it is never acknowledged', () => {
    const { clock, log, machine, run } = answered();
    run(() => machine.handleAck(1));
    clock.advance(1000);
    run((now) => machine.handleSuccessSent(now, 2, Buffer.from('200 again')));
    clock.advance(600);
    expect(machine.waitsForAck).toBe(true);
    expect(log.at(-1)).toEqual([1500, 'send 200 again']);
    clock.advance(40_000);
    expect(log.slice(-2)).toEqual([
      [33_000, 'send_bye'],
      [33_000, 'ended'],
    ]);
  });
});

describe('an INVITE that waits for its answer', () => {
  it('asks for a provisional response every minute and gives up after five', () => {
    const { clock, log, machine, run } = record(new PendingMachine());
    run((now) => machine.start(now, undefined));
    clock.advance(600_000);
    expect(log).toEqual([
      [60_000, 'refresh'],
      [120_000, 'refresh'],
      [180_000, 'refresh'],
      [240_000, 'refresh'],
      [300_000, 'expired'],
    ]);
  });

  it('gives up when the INVITE expires, and never after a final response', () => {
    const expiring = record(new PendingMachine());
    expiring.run((now) => expiring.machine.start(now, 10));
    expiring.clock.advance(60_000);
    expect(expiring.log).toEqual([[10_000, 'expired']]);
    const done = record(new PendingMachine());
    done.run((now) => done.machine.start(now, 10));
    done.run(() => done.machine.finish());
    done.clock.advance(600_000);
    expect(done.log).toEqual([]);
  });
});
