import { describe, expect, it } from 'vitest';
import { parrotOf } from '../../../src/realtime/embedded/parrot.ts';
import { TurnRecorder } from '../../../src/realtime/embedded/turn-recorder.ts';

const MS = 24;

/** A recorder that has heard `ms` of audio in which each millisecond has its own value. */
function heard(recorder: TurnRecorder, fromMs: number, toMs: number): void {
  for (let at = fromMs; at < toMs; at += 20)
    recorder.append(Int16Array.from({ length: 480 }, (_, n) => (at + Math.floor(n / MS)) % 30_000));
}

describe('the recorder of a turn', () => {
  it('gives back exactly the milliseconds that are asked for', () => {
    const recorder = new TurnRecorder();
    heard(recorder, 0, 1000);
    recorder.beginTurn(760);
    heard(recorder, 1000, 4000);
    const turn = recorder.endTurn(760, 3210);
    expect(turn).toHaveLength((3210 - 760) * MS);
    expect([turn[0], turn.at(-1)]).toEqual([760, 3209]);
  });

  it('keeps the last second between turns and no more', () => {
    const recorder = new TurnRecorder();
    heard(recorder, 0, 60_000);
    const turn = recorder.endTurn(0, 60_000);
    expect(turn.length).toBeLessThanOrEqual(1100 * MS);
    expect(turn.length).toBeGreaterThanOrEqual(1000 * MS);
    expect(turn.at(-1)).toBe(59_999 % 30_000);
  });

  it('still has a turn that goes on after its end', () => {
    const recorder = new TurnRecorder();
    recorder.beginTurn(100);
    heard(recorder, 0, 3000);
    recorder.endTurn(100, 2500);
    heard(recorder, 3000, 3600);
    recorder.beginTurn(100);
    heard(recorder, 3600, 9000);
    expect(recorder.endTurn(100, 9000)[0]).toBe(100);
  });

  it('keeps the last 30 s of a long turn', () => {
    const recorder = new TurnRecorder();
    recorder.beginTurn(0);
    heard(recorder, 0, 70_000);
    const turn = recorder.endTurn(0, 70_000);
    expect(turn).toHaveLength(30_000 * MS);
    expect(turn[0]).toBe(40_000 % 30_000);
  });

  it('has nothing for a turn that was never heard', () => {
    const recorder = new TurnRecorder();
    expect(recorder.endTurn(500, 900)).toHaveLength(0);
    heard(recorder, 0, 100);
    expect(recorder.endTurn(500, 400)).toHaveLength(0);
  });
});

describe('the parrot', () => {
  it('leaves out the silence before the voice, all but 60 ms', () => {
    const turn = new Int16Array(1000 * MS);
    turn.fill(5000, 400 * MS);
    expect(parrotOf(turn)).toHaveLength((1000 - 340) * MS);
  });

  it('begins and ends at zero', () => {
    const said = parrotOf(new Int16Array(100 * MS).fill(5000));
    expect([said[0], said.at(-1)]).toEqual([0, 0]);
  });

  it('says nothing when there is nothing', () => {
    expect(parrotOf(new Int16Array(0))).toHaveLength(0);
  });
});
