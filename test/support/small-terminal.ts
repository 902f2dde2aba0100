/** A terminal that knows only what the program writes to one; anything else is an error. */
import assert from 'node:assert/strict';

/** An order to the terminal after its escape character, the end of a line, or text. */
const PART = /\p{Cc}\[(\d*)([A-Za-z])|[\r\n]|\P{Cc}+/gu;

export class SmallTerminal {
  #lines: string[] = [''];
  #row = 0;
  #column = 0;

  /** The lines on the screen and above it; the last one is empty if the cursor is at its start. */
  get lines(): readonly string[] {
    return this.#lines.map((line) => line.trimEnd());
  }

  /** Whether the cursor stands at the beginning of the last line, which is empty. */
  get isAtNewLine(): boolean {
    return this.#row === this.#lines.length - 1 && this.#lines[this.#row] === '';
  }

  write(text: string): boolean {
    let length = 0;
    for (const [part, count, order] of text.matchAll(PART)) {
      length += part.length;
      if (order === undefined) {
        this.#put(part);
      } else {
        this.#obey(order, Number(count || 1));
      }
    }
    assert.equal(length, text.length, JSON.stringify(text));
    return true;
  }

  #put(part: string): void {
    if (part === '\r') {
      this.#column = 0;
    } else if (part === '\n') {
      this.#row++;
      this.#column = 0;
      this.#lines[this.#row] ??= '';
    } else {
      const line = this.#lines[this.#row] ?? '';
      const end = this.#column + part.length;
      this.#lines[this.#row] = line.slice(0, this.#column) + part + line.slice(end);
      this.#column = end;
    }
  }

  #obey(order: string, count: number): void {
    switch (order) {
      case 'A':
        assert.ok(count <= this.#row, 'the cursor leaves the screen');
        this.#row -= count;
        break;
      case 'J':
        this.#lines.length = this.#row + 1;
        this.#clearLineEnd();
        break;
      case 'K':
        this.#clearLineEnd();
        break;
      case 'm':
        break; // a color
      default:
        assert.fail(`unknown order: ${order}`);
    }
  }

  #clearLineEnd(): void {
    this.#lines[this.#row] = (this.#lines[this.#row] ?? '').slice(0, this.#column);
  }
}
