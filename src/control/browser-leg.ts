import { GatewayError } from '../base/errors.ts';
import type { EndCause, JoinedSession, Leg, OpenedLeg } from '../leg/leg.ts';
import type { SessionHost } from '../leg/session-host.ts';

/** What a browser's call becomes. */
export interface BrowserCall {
  readonly sessionId: string;
  /** SDP. */
  readonly answer: string;
}

export interface BrowserOffer {
  /** SDP. */
  readonly offer: string;
  readonly project: string;
  readonly ephemeral: boolean;
  readonly session: Readonly<Record<string, unknown>>;
  /** Stream of the data channel that the browser has made without asking. */
  readonly dataChannelId?: number | undefined;
  /** The session that it is one more leg of; one of its own when absent. */
  readonly joins?: JoinedSession;
}

/**
 * Opens the leg of a browser. There is no dialog beside its media: what it is asked to do is done as soon as it is asked, and the media says
 * when the browser has gone.
 * @throws GatewayError as SessionHost.open(), ERR_FORBIDDEN when it was rejected at once
 */
export async function openBrowserLeg(
  host: SessionHost,
  { offer, project, ephemeral, session, dataChannelId, joins }: BrowserOffer,
): Promise<BrowserCall> {
  let opened: OpenedLeg | undefined;
  let answered = false;
  let ended: EndCause | undefined;
  const end = (cause: EndCause): void => {
    if (ended !== undefined) return;
    ended = cause;
    opened?.tell({ type: 'ended', cause });
  };
  const leg: Leg = {
    answer: () => {
      if (answered || ended !== undefined) return;
      answered = true;
      opened?.tell({ type: 'answered' });
    },
    reject: () => end('rejected'),
    hangup: (cause) => end(cause),
    report: () => undefined,
  };
  const policy = {
    ...{ project, ephemeral, session, decide: { by: 'answer' } as const },
    ...(dataChannelId !== undefined && { dataChannelId }),
  };
  opened = await host.open({ origin: { kind: 'browser', ...(joins && { joins }) }, offer, ...(!joins && { policy }) }, leg);
  // What the owner has said before we knew it.
  if (ended !== undefined) {
    opened.tell({ type: 'ended', cause: ended });
    throw new GatewayError('ERR_FORBIDDEN', 'The call was rejected.');
  }
  if (answered) opened.tell({ type: 'answered' });
  return { sessionId: opened.sessionId, answer: opened.answer };
}
