/** Arrays in NumPy's file format, version 1 to 3, two-dimensional and in C order, as the API gives them. */

const KINDS = { "<f4": Float32Array, "<i2": Int16Array };

/** `{rows, columns, values}` of a file. Throws an Error where it is none of those. */
export function readNpy(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < 10 || view.getUint32(0) !== 0x934e554d) throw new Error("The array is not in NumPy's format.");
  const isShort = view.getUint8(6) === 1;
  const start = isShort ? 10 : 12;
  const length = isShort ? view.getUint16(8, true) : view.getUint32(8, true);
  const header = new TextDecoder("latin1").decode(new Uint8Array(buffer, start, length));
  const kind = KINDS[/'descr': '([^']+)'/.exec(header)?.[1]];
  const shape = /'shape': \((\d+), (\d+)\)/.exec(header);
  if (!kind || !shape || !header.includes("'fortran_order': False")) throw new Error("The array is of a kind that is not read here.");
  const [rows, columns] = [Number(shape[1]), Number(shape[2])];
  return { rows, columns, values: new kind(buffer.slice(start + length), 0, rows * columns) };
}
