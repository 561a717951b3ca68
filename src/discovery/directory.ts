import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { isSallyportError, SallyportError, systemCode } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { NodeName } from "../base/node-name.ts";
import type { SharedFiles } from "../base/shared-files.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { pinStem } from "../identity/pin-stem.ts";
import type { Resolver } from "../node/ports.ts";
import { type EndpointForm, MAX_ENDPOINT_FILE_BYTES, SALLYPORT_FORM } from "./endpoint-file.ts";
import type { Registrar, Registration } from "./registrar.ts";
import { within } from "./within.ts";

/** Longest wait for an endpoint file of another node, in milliseconds. */
const DIRECTORY_READ_MS = 1_000;

/** Longest wait for writing or removing this node's own endpoint file, in milliseconds. */
const DIRECTORY_WRITE_MS = 5_000;

/** How often a node looks whether its endpoint file is still there, in milliseconds. */
export const DIRECTORY_CHECK_MS = 30_000;

/** Reads that a hanging disk has not answered; until then no more are begun. Each holds one of the platform's threads. */
const MAX_OPEN_READS = 2;

export interface DirectoryParts {
  readonly files: SharedFiles;
  readonly crypto: Pick<IdentityCrypto, "sha256">;
  readonly clock: Clock;
  readonly directory: string;
  /** How the files are named and written. Default `SALLYPORT_FORM`. */
  readonly form?: EndpointForm;
}

/** Looks for a file about the node in a directory that machines share. */
export function directoryResolver(parts: DirectoryParts, schemes: readonly DialAddress["scheme"][]): Resolver {
  let open = 0;
  return {
    label: `the directory ${parts.directory}`,
    maxResolveMs: DIRECTORY_READ_MS,
    async resolve(name, _signal, note) {
      if (open >= MAX_OPEN_READS) {
        note?.("it does not answer: earlier reads still wait");
        return [];
      }
      open++;
      try {
        const addresses = await readFile(parts, name, schemes);
        if (typeof addresses !== "string") return addresses;
        note?.(addresses);
        return [];
      } finally {
        open--;
      }
    },
  };
}

async function readFile(
  parts: DirectoryParts,
  name: NodeName,
  schemes: readonly DialAddress["scheme"][],
): Promise<readonly DialAddress[] | string> {
  const path = pathOf(parts, name);
  if (path === undefined) return "files of this form have no place for such a name";
  try {
    const read = await parts.files.read(path, MAX_ENDPOINT_FILE_BYTES);
    switch (read) {
      case "no-file":
        return "no file about it";
      case "no-directory":
        return "it does not exist on this machine; is it mounted?";
      case "not-a-file":
        return "what stands there is no regular file";
      case "too-large":
        return `its file has more than ${MAX_ENDPOINT_FILE_BYTES} bytes`;
      default:
        return formOf(parts).parse(read, name, schemes);
    }
  } catch (error) {
    return `its file cannot be read (${systemCode(error)})`;
  }
}

export interface DirectoryRegistrarParts extends DirectoryParts {
  /** Tells the operator that the file could not be written again. */
  warn(reason: string, message: string): void;
}

/** Writes a file about this node, and again when it is gone or changed. A node without an endpoint that fits the form writes none. */
export function directoryRegistrar(parts: DirectoryRegistrarParts): Registrar {
  return {
    async register(own) {
      const path = pathOf(parts, own.name);
      const text = formOf(parts).format(own, parts.clock.wallMs());
      if (path === undefined || text === undefined) return { close: async () => {} };
      const registration = new DirectoryRegistration(parts, path, text);
      await registration.start();
      return registration;
    },
  };
}

class DirectoryRegistration implements Registration {
  readonly #parts: DirectoryRegistrarParts;
  readonly #path: string;
  readonly #text: string;
  #timer: Timer | undefined;
  #check: Promise<void> = Promise.resolve();
  #closed = false;
  #isFailing = false;

  constructor(parts: DirectoryRegistrarParts, path: string, text: string) {
    this.#parts = parts;
    this.#path = path;
    this.#text = text;
  }

  /** @throws {SallyportError} ERR_CONFIG DISCOVERY_DIRECTORY */
  async start(): Promise<void> {
    const { clock, files, directory } = this.#parts;
    const failed = (why: string): SallyportError => notWritten(directory, why);
    try {
      await within(clock, DIRECTORY_WRITE_MS, files.write(this.#path, this.#text), () => {
        throw failed(`no answer within ${DIRECTORY_WRITE_MS} ms`);
      });
    } catch (error) {
      throw isSallyportError(error) ? error : failed(systemCode(error));
    }
    this.#later();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    const { clock } = this.#parts;
    await within(clock, DIRECTORY_WRITE_MS, this.#remove(), () => undefined).catch(() => undefined);
  }

  /** Only one's own: another life of this node may have written its file meanwhile. */
  async #remove(): Promise<void> {
    await this.#check;
    if (await this.#isOurs()) await this.#parts.files.remove(this.#path);
  }

  /** The next look is arranged when this one is over, so that a hanging disk has one at a time. */
  #later(): void {
    const { clock } = this.#parts;
    this.#timer = clock.at(
      addMs(clock.now(), DIRECTORY_CHECK_MS),
      () => {
        this.#check = this.#restore().finally(() => {
          if (!this.#closed) this.#later();
        });
      },
      true,
    );
  }

  async #restore(): Promise<void> {
    try {
      if (!(await this.#isOurs()) && !this.#closed) await this.#parts.files.write(this.#path, this.#text);
      this.#isFailing = false;
    } catch (error) {
      if (this.#isFailing || this.#closed) return;
      this.#isFailing = true;
      this.#parts.warn(
        "ENDPOINT_FILE_NOT_WRITTEN",
        `the file about this node in ${this.#parts.directory} is gone or changed, and cannot be written (${systemCode(error)})`,
      );
    }
  }

  async #isOurs(): Promise<boolean> {
    const read = await this.#parts.files.read(this.#path, MAX_ENDPOINT_FILE_BYTES);
    return typeof read !== "string" && read.equals(Buffer.from(this.#text));
  }
}

function formOf({ form }: DirectoryParts): EndpointForm {
  return form ?? SALLYPORT_FORM;
}

/** Undefined for a name that files of this form cannot be about. */
function pathOf(parts: DirectoryParts, name: NodeName): string | undefined {
  const file = formOf(parts).fileName(name, (of) => pinStem(of, parts.crypto));
  return file === undefined ? undefined : `${parts.directory.replace(/\/+$/, "")}/${file}`;
}

function notWritten(directory: string, why: string): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "DISCOVERY_DIRECTORY",
    `cannot write the file about this node into ${directory} (${why})`,
    {
      stage: "name",
      advice: "mount or make the directory and let this user write in it, or take discovery.directory out",
    },
  );
}
