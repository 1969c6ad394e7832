import type { SipResponse } from './message.ts';

/** What is to be done about a provisional response to an INVITE of ours. */
export type Received =
  /** Not a reliable one: take it as it is. */
  | { readonly type: 'plain' }
  /** Take it, and send PRACK with this RAck. */
  | { readonly type: 'acknowledge'; readonly rack: string }
  /** A repeat, or one that came before its turn (RFC 3262 §4): it is dropped; the peer repeats what it must. */
  | { readonly type: 'drop' };

const CSEQ = /^(\d{1,10})[ \t]+(\S+)$/;

/** The receiving end of reliable provisional responses, for one early dialog: of each To tag (RFC 3262 §4). */
export class ReliableReceiver {
  #last: number | undefined;

  take({ status, headers }: SipResponse): Received {
    const required = headers.elements('require')?.some((option) => option.toLowerCase() === '100rel');
    const text = headers.first('rseq') ?? '';
    if (status <= 100 || status >= 200 || !required || !/^\d{1,10}$/.test(text)) return { type: 'plain' };
    const [, cseq, method] = CSEQ.exec(headers.first('cseq') ?? '') ?? [];
    const rseq = Number(text);
    if (cseq === undefined || method === undefined || (this.#last !== undefined && rseq !== this.#last + 1)) return { type: 'drop' };
    this.#last = rseq;
    return { type: 'acknowledge', rack: `${rseq} ${cseq} ${method}` };
  }
}
