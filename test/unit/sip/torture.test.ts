import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseMessage } from '../../../src/sip/embedded/message.ts';
import { testDataRoot } from '../../support/test-data.ts';
import { ANSWER, EngineUnderTest, request } from './engine-under-test.ts';

/** Messages of RFC 4475 and 5118 with what each deserves; they are others' data and not kept in this repository. */
const folder = join(testDataRoot ?? '', 'torture');
const present = testDataRoot !== undefined && existsSync(join(folder, 'manifest.json'));

interface TortureMessage {
  readonly name: string;
  readonly kind: 'req' | 'resp';
  readonly preferred: string;
  readonly allowed: readonly string[];
}

const messages: readonly TortureMessage[] = present ? JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')).messages : [];

/** The final answer of a user agent that takes every call, or `none`. */
async function answerTo({ name }: TortureMessage): Promise<string> {
  const test = await EngineUnderTest.start();
  test.engine.onInvite = (invite) => void invite.answer(ANSWER);
  const statuses = test.exchange(readFileSync(join(folder, `${name}.dat`))).map(({ what }) => what);
  expect(new Set(statuses).size).toBeLessThanOrEqual(1);
  expect(test.exchange(request({ method: 'OPTIONS', callId: 'alive' })).map(({ what }) => what)).toEqual(['200']);
  return statuses.at(-1) ?? 'none';
}

function isAllowed(status: string, { allowed }: TortureMessage): boolean {
  return allowed.includes(status) || allowed.includes(`${status[0]}xx`);
}

function isPreferred(status: string, { preferred }: TortureMessage): boolean {
  return preferred.split('|').some((wish) => {
    if (wish === 'ignore') return status === 'none';
    if (status === 'none') return false;
    if (wish === 'not-400') return status !== '400';
    if (wish === 'any-final') return true;
    if (wish === '4xx-policy') return ['401', '403', '404', '405'].includes(status);
    return wish === status || wish === `${status[0]}xx`;
  });
}

describe.skipIf(!present)('the torture messages of RFC 4475 and RFC 5118 (skipped without RINGDOWN_TEST_DATA)', () => {
  it.each(messages.map((message) => [message.name, message] as const))('%s is answered as allowed', async (_name, message) => {
    const status = await answerTo(message);
    expect([status, isAllowed(status, message)]).toEqual([status, true]);
  });

  it('are answered as preferred but for few', async () => {
    const others: string[] = [];
    for (const message of messages) {
      const status = await answerTo(message);
      if (!isPreferred(status, message)) others.push(`${message.name} ${status}`);
    }
    // No credentials are asked for yet, so REGISTER with unknown ones gets 405 and not 401.
    expect(others).toEqual(['regaut01 405']);
    expect(messages).toHaveLength(61);
  });

  it('parse as messages, all that are', () => {
    for (const { name, kind } of messages) {
      const parsed = parseMessage(readFileSync(join(folder, `${name}.dat`)));
      if (kind === 'req') expect([name, parsed?.type]).toEqual([name, 'request']);
    }
  });
});
