/** Links within the process that look as if they came from a network. */

import type { HostAddress } from "../pipes/address.ts";
import type { Link } from "../pipes/_link.ts";
import { memoryLinks } from "../pipes/_memory_link.ts";

/** Where the near end says that it is. */
export interface HostLinksOptions {
  /** Its own address. */
  readonly local: string;
  /** That of the other end. */
  readonly remote: string;
}

/** Makes two links that are each other's end; both say that they are TCP. */
export function hostLinks({ local, remote }: HostLinksOptions): readonly [Link, Link] {
  const here: HostAddress = { transport: "tcp", hostname: local, port: 1 };
  const there: HostAddress = { transport: "tcp", hostname: remote, port: 2 };
  const [near, far] = memoryLinks("test");
  return [dressed(near, here, there), dressed(far, there, here)];
}

function dressed(link: Link, localAddress: HostAddress, remoteAddress: HostAddress): Link {
  return {
    transport: "tcp",
    unit: link.unit,
    halfClose: link.halfClose,
    localAddress,
    remoteAddress,
    read: (buffer) => link.read(buffer),
    write: (data) => link.write(data),
    closeWrite: () => link.closeWrite(),
    close: () => link.close(),
    abort: () => link.abort(),
  };
}
