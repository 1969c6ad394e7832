import type { LegOrigin } from '../leg/leg.ts';
import { callFactsView } from './call-facts-view.ts';

/** A credential of SIP; the sender of the headers has left them out already. */
const CREDENTIALS = /^(?:proxy-)?(?:authorization|authenticate)$|^authentication-info$/i;

export interface IncomingCall {
  /** `evt_…`, the same at each try. */
  readonly id: string;
  /** Unix seconds. */
  readonly createdAt: number;
  /** The session's id. */
  readonly callId: string;
  readonly origin: LegOrigin;
}

/** The body of `realtime.call.incoming`: header fields in their order, duplicates kept. */
export function incomingCallBody({ id, createdAt, callId, origin }: IncomingCall): string {
  const { from, to, sipCallId, facts } = origin;
  const essential = [
    ['From', from],
    ['To', to],
    ['Call-ID', sipCallId],
  ] as const;
  const headers = origin.headers ?? essential.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
  const data = {
    call_id: callId,
    sip_headers: headers.filter(({ name }) => !CREDENTIALS.test(name)).map(({ name, value }) => ({ name, value })),
    ...(facts && { call: callFactsView(facts) }),
  };
  return JSON.stringify({ object: 'event', id, type: 'realtime.call.incoming', created_at: createdAt, data });
}
