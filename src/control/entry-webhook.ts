import type { Clock } from '../base/clock.ts';
import { randomText } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { DeliverEntry } from '../realtime/tools/call-tools.ts';
import { WebhookDelivery, type WebhookPost, type WebhookTarget } from './webhook-delivery.ts';

/** The caller waits, and the model: a receiver that is not back by then has lost it. */
const WITHIN_MS = 10_000;

/** 96 bits. */
const EVENT_CHARACTERS = 16;

export interface EntryWebhookDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly post: WebhookPost;
}

/** Brings secret keys to the operator's application as a signed event. They stand in its body, and nowhere else. */
export function entryWebhook({ clock, log, post }: EntryWebhookDeps, target: WebhookTarget): DeliverEntry {
  return async ({ sessionId, project, digits, endedBy }) => {
    const id = `evt_${randomText(EVENT_CHARACTERS)}`;
    const data = { call_id: sessionId, project, digits, count: digits.length, ended_by: endedBy, secure: true };
    const createdAt = Math.floor(clock.wallclock() / 1000);
    const body = JSON.stringify({ object: 'event', id, type: 'realtime.call.digits', created_at: createdAt, data });
    const outcome = await new WebhookDelivery({ clock, post }, target, { id, body }, WITHIN_MS).outcome;
    if (outcome !== 'delivered') log.warn({ session: sessionId, outcome }, 'secret keys not delivered');
    return outcome === 'delivered';
  };
}
