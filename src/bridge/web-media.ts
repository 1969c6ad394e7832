import type { Direction } from '../sdp/direction.ts';
import { parseWebRtcAnswer, parseWebRtcOffer } from '../sdp/webrtc.ts';
import type { SipSource } from '../sip/engine.ts';

/** Does a browser call? By WebSocket, and with an offer that the owner of sessions can answer itself. */
export function isBrowserCall(offer: string | undefined, { transport }: SipSource): boolean {
  if (offer === undefined || (transport !== 'ws' && transport !== 'wss')) return false;
  return directionIn(offer) !== undefined;
}

/** Which way the browser wants audio; undefined where the description is none of WebRTC audio. */
export function directionIn(description: string, kind: 'offer' | 'answer' = 'offer'): Direction | undefined {
  const parsed = kind === 'offer' ? parseWebRtcOffer(description) : parseWebRtcAnswer(description);
  return 'fault' in parsed ? undefined : parsed.audio?.direction;
}
