import { GatewayError } from '../base/errors.ts';
import { randomText, randomUint32 } from '../base/ids.ts';
import type { NodeKeys } from '../ownership/cluster-keys.ts';
import type { NodeId } from '../ownership/node-id.ts';
import type { RelayLink } from '../ownership/relay-link.ts';
import { icePwd, makeUfrag, readUfrag } from '../ownership/ufrag.ts';
import { answerWebRtcOffer, chooseCodec, parseWebRtcOffer, type WebRtcAudio, type WebRtcDescription } from '../sdp/webrtc.ts';
import type { Identity } from '../webrtc/dtls/identity.ts';
import type { IceCredentials } from '../webrtc/ice/ice-agent.ts';
import type { IceGeneration } from '../webrtc/ice/ice-lite-agent.ts';
import { chooseSetUp, type SetUp } from '../webrtc/set-up.ts';
import { EVENTS_LABEL } from './channel-door.ts';

export interface NegotiationDeps {
  readonly identity: Identity;
  readonly keys: NodeKeys;
  readonly link: Pick<RelayLink, 'candidates'>;
}

export interface NegotiationOptions {
  readonly nodeId: NodeId;
  /** Stream of the data channel that the client has made without asking. */
  readonly dataChannelId?: number | undefined;
}

/** An offer that a session can be made of. */
export type AudioOffer = WebRtcDescription & { readonly audio: WebRtcAudio };

/** @throws GatewayError ERR_BAD_OFFER, ERR_NO_COMMON_CODEC */
export function readOffer(text: string): AudioOffer {
  const offer = parseWebRtcOffer(text);
  if ('fault' in offer) {
    const { reason, detail } = offer.fault;
    throw new GatewayError(reason === 'no_common_codec' ? 'ERR_NO_COMMON_CODEC' : 'ERR_BAD_OFFER', detail);
  }
  const { audio } = offer;
  if (!audio) throw new GatewayError('ERR_BAD_OFFER', 'the offer has no audio');
  return { ...offer, audio };
}

/** What descriptions have settled about one peer: the first offer and its answer, and each ICE restart after them. */
export class Negotiation {
  readonly setUp: SetUp;
  readonly #deps: NegotiationDeps;
  /** Of the offer, which itself is not kept: a browser's has several kilobytes. */
  #settled: Settled;
  readonly #cname = randomText(16);
  readonly #sessionId = randomUint32();
  #version = 0;
  #credentials: IceCredentials;
  #remote: IceCredentials;

  constructor(deps: NegotiationDeps, offer: AudioOffer, { nodeId, dataChannelId }: NegotiationOptions) {
    this.#deps = deps;
    this.#settled = settledBy(offer);
    this.#remote = { ufrag: offer.ice.ufrag, pwd: offer.ice.pwd };
    this.setUp = chooseSetUp(offer, { dataChannelLabel: EVENTS_LABEL, ...(dataChannelId === undefined ? {} : { dataChannelId }) });
    this.#credentials = this.#withPwd(makeUfrag({ nodeId, generation: 0 }, deps.keys));
  }

  /** Ours, of the latest answer. */
  get credentials(): IceCredentials {
    return this.#credentials;
  }

  /**
   * SDP, under the latest credentials.
   * @param ssrc of the audio we send
   */
  answerTo(offer: AudioOffer, ssrc: number): string {
    this.#version += 1;
    return answerWebRtcOffer(offer, {
      ...this.#credentials,
      fingerprint: this.#deps.identity.fingerprint,
      ...this.setUp.answer,
      candidates: this.#deps.link.candidates,
      ssrc,
      cname: this.#cname,
      session: { id: this.#sessionId, version: this.#version },
    });
  }

  /** The offer was ours, and this is what it came to. */
  accept(answer: AudioOffer): void {
    this.#settled = settledBy(answer);
    this.#remote = { ufrag: answer.ice.ufrag, pwd: answer.ice.pwd };
  }

  /**
   * Takes up a later offer of the same connection, in which ICE alone may be new. One that names the credentials known already (a client that asks
   * again because it has seen no answer) changes nothing.
   * @returns what the agent has to be told, if anything
   * @throws GatewayError ERR_BAD_OFFER: everything stays as it is
   */
  restart(offer: AudioOffer): IceGeneration | undefined {
    const change = changeIn(this.#settled, offer, this.setUp);
    if (change !== undefined) throw new GatewayError('ERR_BAD_OFFER', `only ICE can be restarted: ${change}`);
    const { ufrag, pwd } = offer.ice;
    const isKnown = ufrag === this.#remote.ufrag;
    if (isKnown !== (pwd === this.#remote.pwd)) throw new GatewayError('ERR_BAD_OFFER', 'a restart changes both ice-ufrag and ice-pwd');
    if (isKnown) return undefined;
    this.#remote = { ufrag, pwd };
    this.#credentials = this.#withPwd(this.#nextUfrag());
    return { local: this.#credentials, remoteUfrag: ufrag };
  }

  /** The same session, recognisable by its random part; that is a new one when the generations begin anew, so that no two are ever the same. */
  #nextUfrag(): string {
    const { keys } = this.#deps;
    const facts = readUfrag(this.#credentials.ufrag, keys);
    if (!facts) throw new GatewayError('ERR_INTERNAL', 'a ufrag of ours that cannot be read');
    const { nodeId, random } = facts;
    const generation = (facts.generation + 1) & 0xff;
    return makeUfrag({ nodeId, generation, ...(generation === 0 ? {} : { random }) }, keys);
  }

  #withPwd(ufrag: string): IceCredentials {
    const pwd = icePwd(ufrag, this.#deps.keys);
    if (!pwd) throw new GatewayError('ERR_INTERNAL', 'a ufrag of ours without its password');
    return { ufrag, pwd };
  }
}

/** What DTLS, RTP and SCTP go by. */
interface Settled {
  readonly fingerprints: string;
  /** Kind and mid of every media line. */
  readonly lines: readonly string[];
  readonly codecs: string;
  readonly sctpPort: number | undefined;
}

function settledBy({ fingerprints, sections, audio, application }: AudioOffer): Settled {
  const { name, payloadType } = chooseCodec(audio);
  const texts = fingerprints.map(({ algorithm, value }) => `${algorithm} ${value}`);
  return {
    fingerprints: texts.sort().join(),
    lines: sections.map(({ kind, mid }) => `${kind} ${mid}`),
    codecs: `${name} ${payloadType} ${audio.payloadTypes.telephoneEvent} ${audio.telephoneEventRateHz}`,
    sctpPort: application?.sctpPort,
  };
}

/** What a later offer has that they cannot follow, in words. Undefined when there is nothing. */
function changeIn(first: Settled, offer: AudioOffer, setUp: SetUp): string | undefined {
  const later = settledBy(offer);
  // The association goes on, and so does the certificate it was made with (RFC 8842 §5.5).
  if (later.fingerprints !== first.fingerprints) return 'the fingerprint is another one';
  if (offer.setup === setUp.answer.setup) return 'the DTLS roles are the other way round';
  if (later.lines.length < first.lines.length) return 'there are fewer media lines';
  // JSEP (RFC 9429 §5.2.2): lines stay where they are; new ones come at the end, and are refused by our answer.
  const moved = later.lines.findIndex((line, index) => {
    const before = first.lines[index];
    return before === undefined ? /^(?:audio|application) /.test(line) : before !== line;
  });
  if (moved >= 0) return `media line ${moved + 1} is another one`;
  if (later.codecs !== first.codecs) return 'the audio is coded in another way';
  return later.sctpPort === first.sctpPort ? undefined : 'the data channels are elsewhere';
}
