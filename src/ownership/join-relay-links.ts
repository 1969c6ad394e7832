import type { RelayLink } from './relay-link.ts';

/**
 * The wires of a transceiver to two kinds of relays as one.
 * @param named its relays are the ones that SDP answers name
 * @param unnamed for those who know their relay otherwise
 */
export function joinRelayLinks(named: RelayLink, unnamed: RelayLink): RelayLink {
  const joined: RelayLink = {
    onDatagram: undefined,
    get candidates() {
      return named.candidates;
    },
    gone: (path) => {
      // Each knows its own paths from the other's.
      named.gone(path);
      unnamed.gone(path);
    },
    close: () => {
      named.close();
      unnamed.close();
    },
  };
  named.onDatagram = unnamed.onDatagram = (datagram, path) => joined.onDatagram?.(datagram, path);
  return joined;
}
