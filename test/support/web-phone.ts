import { BrowserPeer } from './browser-peer.ts';
import type { Endpoint } from './endpoint.ts';
import type { PhoneCall } from './phone-call.ts';
import { SocketWire } from './phone-wire.ts';
import { SipPhone } from './sip-phone.ts';

/* A softphone in a browser, for tests without one: SIP over WebSocket, and a WebRTC peer for each call. */

/** Its signalling, at the gateway's HTTP door. */
export async function openWebPhone(http: Endpoint, user: string): Promise<SipPhone> {
  const wire = await SocketWire.open(http);
  return SipPhone.open({ wire, user, transport: 'WS', host: 'df7jal23ls0d.invalid', uriParameters: ';transport=ws', retransmit: false });
}

/** Takes a call that came with an offer of WebRTC. @returns its media, and what it said of them */
export async function answerInBrowser(
  call: PhoneCall,
  codec: 'opus' | 'PCMU' = 'opus',
): Promise<{ readonly browser: BrowserPeer; readonly sdp: string }> {
  let sdp = '';
  const browser = await BrowserPeer.call({
    label: null,
    codec,
    // Who answers an ICE-lite host that is the DTLS server says the rest as if it offered.
    mangle: (offer) => offer.replaceAll('a=setup:actpass', 'a=setup:active'),
    post: async (answer) => {
      sdp = answer;
      call.answer(answer);
      // Its voice goes another way.
      call.media.stop();
      // It answers actively, so whoever offered both is passive.
      return { answer: (call.invited?.body ?? '').replace('a=setup:actpass', 'a=setup:passive'), location: '' };
    },
  });
  return { browser, sdp };
}

/** The same description with another direction. */
export function directed(sdp: string, direction: 'sendrecv' | 'sendonly'): string {
  return sdp.replace(/^a=(?:sendrecv|sendonly)\r$/m, `a=${direction}\r`);
}
