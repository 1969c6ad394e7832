import { Writable } from 'node:stream';
import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import { entryWebhook } from '../../../src/control/entry-webhook.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const SECRET = 'a plain text as secret';
const DIGITS = '4929173850';

/** A receiver that answers with these statuses, one after the other; the last one for ever. */
function receiver(...statuses: number[]) {
  const clock = new FakeClock(0, Date.now());
  const lines: string[] = [];
  const stream = new Writable({
    write: (line, _, done) => {
      lines.push(String(line));
      done();
    },
  });
  const posts: { readonly url: string; readonly headers: Readonly<Record<string, string>>; readonly body: string }[] = [];
  const deliver = entryWebhook(
    {
      clock,
      log: createLog('trace', stream as never),
      post: async (url, headers, body) => {
        posts.push({ url, headers, body });
        return statuses[Math.min(posts.length, statuses.length) - 1] ?? 200;
      },
    },
    { url: 'http://127.0.0.1:9/digits', secrets: [SECRET] },
  );
  const entry = { digits: DIGITS, endedBy: 'count', sessionId: 'rtc_0_1', project: 'shop' } as const;
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 100) {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { deliver: () => deliver(entry), posts, lines, pass };
}

describe('secret keys on their way to the application', () => {
  test('are a signed event that the stock client unwraps', async () => {
    const { deliver, posts } = receiver(200);
    expect(await deliver()).toBe(true);
    const [{ url, headers, body } = { url: '', headers: {}, body: '' }] = posts;
    expect(url).toBe('http://127.0.0.1:9/digits');
    const event = await new OpenAI({ apiKey: 'unused' }).webhooks.unwrap(body, headers, SECRET);
    expect(event).toMatchObject({
      object: 'event',
      type: 'realtime.call.digits',
      data: { call_id: 'rtc_0_1', project: 'shop', digits: DIGITS, count: 10, ended_by: 'count', secure: true },
    });
  });

  test('are tried again with the same id, for ten seconds, and stand in no log', async () => {
    const soon = receiver(503, 500, 204);
    const arrived = soon.deliver();
    await soon.pass(3000);
    expect([await arrived, new Set(soon.posts.map(({ headers }) => headers['webhook-id'])).size, soon.posts.length]).toEqual([true, 1, 3]);
    const never = receiver(500);
    const lost = never.deliver();
    await never.pass(11_000);
    expect(await lost).toBe(false);
    expect(never.lines.join('')).toContain('secret keys not delivered');
    expect(never.lines.filter((line) => line.includes(DIGITS))).toEqual([]);
  });
});
