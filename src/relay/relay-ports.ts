import type { Endpoint } from '../base/addresses.ts';
import { GatewayError } from '../base/errors.ts';
import { listenTcp, type StreamListener } from '../base/tcp.ts';
import { bindUdp, type DatagramSocket } from '../base/udp.ts';

/** The public port of a relay, over both transports. */
export interface RelayPorts {
  readonly socket: DatagramSocket;
  readonly listener: StreamListener;
}

/** The flag that moves both. */
const FLAG = '--relay-port';

/** Ports the kernel gives for UDP that may be taken for TCP; one in two on the busiest machine. */
const MAX_TRIES = 16;

/**
 * Opens the same port for UDP and for TCP; port 0 takes any that is free for both.
 * @throws GatewayError ERR_PORT_IN_USE
 */
export async function openRelayPorts(at: Endpoint): Promise<RelayPorts> {
  for (let tries = 1; ; tries += 1) {
    const socket = await bindUdp(at, FLAG);
    try {
      return { socket, listener: await listenTcp({ address: at.address, port: socket.local.port }, FLAG) };
    } catch (thrown) {
      socket.close();
      if (at.port !== 0 || tries === MAX_TRIES) throw GatewayError.from(thrown);
    }
  }
}
