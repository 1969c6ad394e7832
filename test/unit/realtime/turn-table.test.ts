import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TURN_TABLE, type TurnState } from '../../../src/realtime/turn-table.ts';

const states = Object.keys(TURN_TABLE) as TurnState[];
const rows = states.flatMap((from) => Object.entries(TURN_TABLE[from]).map(([event, row]) => ({ from, event, ...row })));

describe('the table of turns', () => {
  it('is the one in docs/turns.md', () => {
    const lines = rows.map(({ from, event, to, do: actions }) => `| ${from} | ${event} | ${to} | ${actions.join(', ') || '–'} |`);
    const docs = readFileSync(new URL('../../../docs/turns.md', import.meta.url), 'utf8');
    expect(docs, `put this into docs/turns.md:\n${lines.join('\n')}\n`).toContain(lines.join('\n'));
  });

  it('reaches every state from the first', () => {
    const reached = new Set<TurnState>(['off']);
    for (const state of reached) for (const { from, to } of rows) if (from === state) reached.add(to);
    expect([...reached].sort()).toEqual([...states].sort());
  });

  it('lets the end of a conversation come in every state', () => {
    for (const state of states.filter((each) => each !== 'lost')) {
      expect(TURN_TABLE[state].model_lost, state).toBeDefined();
      if (state !== 'off') expect(TURN_TABLE[state].turns_off, state).toBeDefined();
    }
  });

  it('leaves a hold only with a verdict: resumed, or interrupted', () => {
    for (const { from, do: actions } of rows) {
      if (from !== 'held') continue;
      expect(actions.filter((action) => ['resume', 'restart', 'interrupt'].includes(action))).toHaveLength(1);
    }
  });

  it('prepares an answer that is committed or dropped', () => {
    for (const { from, event, to, do: actions } of rows) {
      expect(actions.includes('prepare')).toBe(from !== 'prepared' && to === 'prepared');
      expect(actions.includes('drop_preparation')).toBe(from === 'prepared' && event !== 'wait_over');
    }
  });

  it('begins no turn without ending the one before', () => {
    for (const { from, to, do: actions } of rows) {
      const wasOpen = from === 'user' || from === 'gap' || from === 'prepared';
      const isOpen = to === 'user' || to === 'gap' || to === 'prepared';
      expect(actions.includes('begin_turn') || actions.includes('resume_turn')).toBe(!wasOpen && isOpen);
      expect(actions.some((action) => ['commit', 'discard_turn', 'take_turn'].includes(action))).toBe(wasOpen && !isOpen);
    }
  });
});
