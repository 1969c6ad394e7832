import { describe, expect, it } from 'vitest';
import { CALL } from '../../../src/sip/embedded/call-machine.ts';
import { INVITE_CLIENT } from '../../../src/sip/embedded/invite-client-transaction.ts';
import { INVITE_SERVER } from '../../../src/sip/embedded/invite-server-transaction.ts';
import { NON_INVITE_CLIENT } from '../../../src/sip/embedded/non-invite-client-transaction.ts';
import { NON_INVITE_SERVER } from '../../../src/sip/embedded/non-invite-server-transaction.ts';
import { OUTBOUND } from '../../../src/sip/embedded/outbound-machine.ts';
import { REFER } from '../../../src/sip/embedded/refer-machine.ts';
import { REOFFER } from '../../../src/sip/embedded/reoffer-machine.ts';

/** Ends in one of two ways. */
const OUTBOUND_FAILING = { ...OUTBOUND, answered: { failed_later: { to: 'failed', actions: [] } } };

type Table = Record<string, Record<string, { to: string; actions: readonly string[] }>>;

const tables: [string, string, string, Table][] = [
  ['INVITE server', 'proceeding', 'terminated', INVITE_SERVER as Table],
  ['non-INVITE server', 'trying', 'terminated', NON_INVITE_SERVER as Table],
  ['INVITE client', 'calling', 'terminated', INVITE_CLIENT as Table],
  ['non-INVITE client', 'trying', 'terminated', NON_INVITE_CLIENT as Table],
  ['transfer', 'sent', 'done', REFER as Table],
  ['call of ours', 'calling', 'failed', OUTBOUND_FAILING as Table],
  ['call', 'unacknowledged', 'ended', CALL as Table],
];

function reachableFrom(table: Table, start: string): Set<string> {
  const reached = new Set([start]);
  for (const state of reached) for (const { to } of Object.values(table[state] ?? {})) reached.add(to);
  return reached;
}

describe.each(tables)('the table of the %s', (_name, start, end, table) => {
  it('reaches every state from its start, and its end from every state', () => {
    expect([...reachableFrom(table, start)].sort()).toEqual(Object.keys(table).sort());
    for (const state of Object.keys(table)) expect(reachableFrom(table, state)).toContain(end);
    expect(table[end]).toEqual({});
  });

  it('has a row for every timer it starts, in the state it starts it in', () => {
    for (const rows of Object.values(table)) {
      for (const { to, actions } of Object.values(rows)) {
        for (const action of actions) {
          const timer = /^start_([a-m])$/.exec(action)?.[1];
          if (timer) expect(Object.keys(table[to] ?? {})).toContain(`timer_${timer}`);
        }
      }
    }
  });
});

describe('the table of our offers inside a call', () => {
  it('comes from every state to every other, and so is never stuck', () => {
    const table = REOFFER as Table;
    const states = Object.keys(table).sort();
    for (const state of states) expect([...reachableFrom(table, state)].sort()).toEqual(states);
  });
});
