import type { WebRtcAnswerOptions, WebRtcDescription } from '../sdp/webrtc.ts';
import type { PeerOptions } from './peer-options.ts';
import { createSctpInit, parseSctpInit, type SctpInits, writeSctpInit } from './sctp/sctp-init.ts';

/** By these names clients have offered to carry DTLS in STUN (SPED), the newest first. */
const SPED_OPTIONS = ['sped', 'googspedv1', 'goog-sped-v1'];

export interface SetUpOptions {
  /** Take up SNAP and SPED where the client offers them. Default true. */
  readonly drafts?: boolean;
  /** Stream of the data channel that the client made on its own side, without DCEP. 0 to 65534. */
  readonly dataChannelId?: number;
  readonly dataChannelLabel?: string;
}

/** How a client's offer is taken up with the fewest round trips: what the answer says, and what our peer does. */
export interface SetUp {
  readonly answer: Pick<WebRtcAnswerOptions, 'setup' | 'iceOptions' | 'sctpInit'>;
  readonly peer: Pick<
    PeerOptions,
    'dtlsRole' | 'remoteSctpPort' | 'remoteMaxMessageBytes' | 'startsSctp' | 'sctpInits' | 'negotiatedChannels' | 'takesDtlsInStun'
  >;
}

/**
 * Active saves a round trip: our ClientHello follows the first verified check at once. Not so where the client can put its own into that very check.
 * All that is not in every browser is done only where the offer has it.
 */
export function chooseSetUp(offer: WebRtcDescription, options: SetUpOptions = {}): SetUp {
  const { drafts = true, dataChannelId, dataChannelLabel = 'oai-events' } = options;
  const { application, setup } = offer;
  const iceOptions = drafts ? SPED_OPTIONS.filter((name) => offer.ice.options.includes(name)) : [];
  const takesDtlsInStun = iceOptions.length > 0;
  const isServer = setup === 'active' || (setup === 'actpass' && takesDtlsInStun);
  const remoteInit = drafts && application?.sctpInit !== undefined ? parseSctpInit(application.sctpInit) : undefined;
  const sctpInits: SctpInits | undefined = remoteInit && { local: createSctpInit(), remote: remoteInit };
  return {
    answer: {
      setup: isServer ? 'passive' : 'active',
      ...(takesDtlsInStun && { iceOptions }),
      ...(sctpInits && { sctpInit: writeSctpInit(sctpInits.local) }),
    },
    peer: {
      dtlsRole: isServer ? 'server' : 'client',
      ...(takesDtlsInStun && { takesDtlsInStun }),
      ...(application && { remoteSctpPort: application.sctpPort, remoteMaxMessageBytes: application.maxMessageSize, startsSctp: true }),
      ...(sctpInits && { sctpInits }),
      ...(application && dataChannelId !== undefined && { negotiatedChannels: [{ id: dataChannelId, label: dataChannelLabel }] }),
    },
  };
}
