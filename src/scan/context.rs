//! What a name is given: the value behind a keyword, in the ways that code, configuration and command lines write it.

/// Longest name, and longest value.
const MOST_NAME: usize = 80;
const MOST_VALUE: usize = 512;

/// A name and its value, as ranges of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) name: (usize, usize),
    pub(super) value: (usize, usize),
    /// Whether the value stands in quotes, or in an element.
    pub(super) quoted: bool,
    /// Whether the two stand one after the other in a row: it may be a list of names.
    pub(super) listed: bool,
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$')
}

/// A place in the text that moves on.
struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn eat(&mut self, wanted: &[u8]) -> bool {
        let there = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(wanted));
        self.at += if there { wanted.len() } else { 0 };
        there
    }

    fn eat_folded(&mut self, wanted: &[u8]) -> bool {
        let there =
            self.text.get(self.at..self.at + wanted.len()).is_some_and(|text| text.eq_ignore_ascii_case(wanted));
        self.at += if there { wanted.len() } else { 0 };
        there
    }

    fn skip(&mut self, most: usize, what: impl Fn(u8) -> bool) -> usize {
        let from = self.at;
        while self.at - from < most && self.at < self.text.len() && what(self.peek()) {
            self.at += 1;
        }
        self.at - from
    }

    fn blanks(&mut self) -> usize {
        self.skip(200, |byte| byte == b' ' || byte == b'\t')
    }

    /// A quote, escaped or not; or what stands for one in HTML or a URL.
    fn quote(&mut self) -> Option<Quote> {
        let start = self.at;
        let slashes = self.skip(3, |byte| byte == b'\\');
        let byte = self.peek();
        if matches!(byte, b'"' | b'\'' | b'`') {
            self.at += 1;
            return Some(Quote { byte, slashes });
        }
        self.at = start;
        if self.eat(b"&quot;") || self.eat(b"&#34;") || self.eat(b"%22") {
            return Some(Quote { byte: b'&', slashes: 0 });
        }
        None
    }
}

#[derive(Clone, Copy)]
struct Quote {
    byte: u8,
    slashes: usize,
}

/// The value given to the name that the keyword at `from..to` is part of.
pub(super) fn assigned(text: &[u8], from: usize, to: usize) -> Option<Assigned> {
    let mut start = from;
    while start > 0 && from - start < MOST_NAME && is_name(text[start - 1]) {
        start -= 1;
    }
    // An escaped newline before a name, as in JSON, is none of its letters.
    if start > 0 && text[start - 1] == b'\\' && matches!(text[start], b'n' | b't' | b'r') && start < from {
        start += 1;
    }
    let mut cursor = Cursor { text, at: to };
    cursor.skip(MOST_NAME, is_name);
    let name = (start, cursor.at);
    let command = text[start..].starts_with(b"--") || text[..start].ends_with(b"ENV ");
    let element = start > 0 && text[start - 1] == b'<';
    let before = text[..start].trim_ascii_end();
    let before = before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"'")).unwrap_or(before);
    let first_argument = before.trim_ascii_end().ends_with(b"(");
    let at = cursor.at;
    operator(&mut cursor, command, element)?;
    // A call of a name has its value in quotes, and a row of a table no paths.
    let bare = !matches!(cursor.peek(), b'"' | b'\'' | b'`' | b'\\');
    let between = &text[at..cursor.at];
    let comma = between.contains(&b',') && !between.iter().any(|byte| matches!(byte, b'=' | b':'));
    let called = between.contains(&b'(');
    if bare && (called || comma && (text[name.0..name.1].contains(&b'.') || before.ends_with(b"/"))) {
        return None;
    }
    let element = element || text[cursor.at - 1] == b'>';
    let (value, quoted) = value(&mut cursor, element, between == b"=" && is_line_start(text, start))?;
    Some(Assigned { name, value, quoted, listed: comma && !first_argument })
}

/// What stands between a name and its value. `None` where nothing does.
fn operator(cursor: &mut Cursor<'_>, command: bool, element: bool) -> Option<()> {
    let quoted = cursor.quote().is_some();
    // `config['secret']`, `env["SECRET"]`, `$(SECRET)`.
    let indexed = cursor.eat(b"]") || cursor.eat(b")");
    let gap = cursor.blanks();
    if (element || quoted) && cursor.eat(b">") {
        return Some(());
    }
    if quoted {
        // `"name": "SECRET", "value": "…"`, `key="SECRET" value="…"`.
        let before = cursor.at;
        cursor.skip(40, |byte| byte == b',' || byte.is_ascii_whitespace() || byte == b'\\' || byte == b'n');
        let open = cursor.quote();
        if cursor.eat_folded(b"value") || cursor.eat_folded(b"content") {
            if open.is_some() {
                cursor.quote();
            }
            cursor.blanks();
            if cursor.eat(b":") || cursor.eat(b"=") {
                cursor.blanks();
                return Some(());
            }
        }
        cursor.at = before;
        // `define('SECRET', 'value')`; a row of values, or a list of names.
        if cursor.eat(b",") {
            cursor.blanks();
            return Some(());
        }
        // `variable "secret" {`, and its `default = "…"` some lines on.
        if cursor.eat(b"{") {
            return block_default(cursor).then_some(());
        }
    } else if yaml_value(cursor) {
        return Some(());
    }
    // A type: `: string =`, `: &str =`, ` string =` of Go, `?: string`.
    let before = cursor.at;
    cursor.eat(b"?");
    if !quoted && !indexed && cursor.eat(b":") {
        cursor.blanks();
        let typed = cursor.skip(40, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'&' | b'\'' | b'_' | b'<' | b'>' | b'[' | b']' | b'|')
        });
        let gap = cursor.blanks();
        // The `=` that ends base64 stands directly behind it, and nothing is quoted behind that.
        let assigns = gap > 0 || matches!(cursor.text.get(cursor.at + 1), Some(b'"' | b'\'' | b'`'));
        if typed > 0 && assigns && cursor.peek() == b'=' && !cursor.text[cursor.at..].starts_with(b"==") {
            cursor.at += 1;
            cursor.blanks();
            return Some(());
        }
        cursor.at = before;
    }
    if cursor.eat_folded(b"%3d") {
        return Some(());
    }
    // A cell of a table in Markdown, a default behind a variable of the environment.
    if (gap > 0 || indexed)
        && cursor.text.get(cursor.at + 2) != Some(&b'=')
        && (cursor.eat(b"||") || cursor.eat(b"??") || cursor.eat(b"| `"))
    {
        cursor.at -= usize::from(cursor.text[cursor.at - 1] == b'`');
        cursor.blanks();
        return matches!(cursor.peek(), b'"' | b'\'' | b'`' | b'\\').then_some(());
    }
    // A row of values that are separated by commas.
    if !quoted && gap == 0 && cursor.eat(b",") {
        return cursor.peek().is_ascii_alphanumeric().then_some(());
    }
    const OPERATORS: [&[u8]; 16] = [
        b"===", b"!==", b"==", b"!=", b":=", b"=>", b"->", b"||=", b"??=", b"::", b"?=", b"+=", b"=", b":", b"(", b"<-",
    ];
    for operator in OPERATORS {
        if cursor.eat(operator) {
            cursor.blanks();
            return Some(());
        }
    }
    // `--token value`, `PASSWORD 'value'` and `IDENTIFIED BY 'value'` of SQL.
    if gap > 0 && (command || matches!(cursor.peek(), b'"' | b'\'') || is_login_line(cursor)) {
        return Some(());
    }
    None
}

/// Whether a line begins here, or a variable that it exports: then all that follows up to a blank is its value.
fn is_line_start(text: &[u8], at: usize) -> bool {
    let before = &text[at.saturating_sub(16)..at];
    let line = before.iter().rposition(|byte| *byte == b'\n').map_or(before, |place| &before[place + 1..]);
    matches!(line.trim_ascii(), b"" | b"export" | b"ENV") && (line.len() < before.len() || at <= 16)
}

/// `machine host login name password secret`: a line of `.netrc`.
fn is_login_line(cursor: &Cursor<'_>) -> bool {
    let before = &cursor.text[cursor.at.saturating_sub(200)..cursor.at];
    before.windows(6).any(|part| part == b"login ") && before.windows(9).any(|part| part == b"password ")
}

/// The default or the value in a block of Terraform's language.
fn block_default(cursor: &mut Cursor<'_>) -> bool {
    let block = &cursor.text[cursor.at..cursor.text.len().min(cursor.at + 300)];
    let block = &block[..block.iter().position(|byte| *byte == b'}').unwrap_or(block.len())];
    let place = [&b"default"[..], b"value"]
        .iter()
        .find_map(|word| block.windows(word.len()).position(|part| part == *word).map(|at| at + word.len()));
    let Some(place) = place else { return false };
    cursor.at += place;
    cursor.blanks();
    let assigns = cursor.eat(b"=");
    cursor.blanks();
    assigns
}

/// `- name: SECRET`, and on the next line `value: …`: how Kubernetes lists variables.
fn yaml_value(cursor: &mut Cursor<'_>) -> bool {
    let before = cursor.at;
    cursor.eat(b"\r");
    if cursor.eat(b"\n") {
        cursor.blanks();
        if cursor.eat(b"value:") {
            cursor.blanks();
            return true;
        }
    }
    cursor.at = before;
    false
}

/// The value, and whether it is quoted.
fn value(cursor: &mut Cursor<'_>, element: bool, variable: bool) -> Option<((usize, usize), bool)> {
    cursor.eat(b"\r");
    if cursor.eat(b"\n") {
        // A long line broken behind its operator.
        cursor.blanks();
        if !matches!(cursor.peek(), b'"' | b'\'' | b'`') {
            return None;
        }
    }
    if element {
        cursor.eat(b"<![CDATA[");
        let start = cursor.at;
        let length = cursor.skip(MOST_VALUE, |byte| !matches!(byte, b'<' | b'\n' | b']'));
        return (length > 0).then_some(((start, start + length), true));
    }
    // `b"…"`, `r'…'`, `@"…"`, `$"…"`; `String("…")`, `env("…", "…")` and the like are calls and no literals.
    if matches!(cursor.peek(), b'b' | b'r' | b'u' | b'@' | b'L')
        && matches!(cursor.text.get(cursor.at + 1), Some(b'"' | b'\''))
    {
        cursor.at += 1;
    }
    if let Some(quote) = cursor.quote() {
        for scheme in [&b"bearer "[..], b"basic ", b"token ", b"apikey "] {
            cursor.eat_folded(scheme);
        }
        let start = cursor.at;
        let mut at = start;
        while at - start < MOST_VALUE {
            match *cursor.text.get(at)? {
                b'\n' => return None,
                b'&' if quote.byte == b'&' => break,
                b'%' if quote.byte == b'&' => break,
                b'\\' if quote.slashes > 0 => break,
                b'\\' => at += 1,
                byte if byte == quote.byte => break,
                _ => {}
            }
            at += 1;
        }
        cursor.at = at.min(cursor.text.len());
        return (cursor.at > start).then_some(((start, cursor.at), true));
    }
    for scheme in [&b"bearer "[..], b"basic ", b"token "] {
        cursor.eat_folded(scheme);
    }
    let start = cursor.at;
    if variable {
        let length = cursor.skip(MOST_VALUE, |byte| byte > b' ' && !matches!(byte, b'"' | b'\'' | b'`' | b'\\'));
        return (length > 0).then_some(((start, start + length), false));
    }
    let length = cursor.skip(MOST_VALUE, |byte| {
        byte > b' '
            && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b',' | b';' | b'&' | b'\\' | b')' | b'}' | b']' | b'|')
    });
    (length > 0).then_some(((start, start + length), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_as_they_are_written() {
        for text in [
            "password=V",
            "PASSWORD = V",
            "export DB_PASSWORD=V",
            "db.password: V",
            "password: 'V'",
            "const password = \"V\";",
            "let password: string = 'V'",
            "let password:string='V'",
            "password := `V`",
            "\"password\": \"V\"",
            "'password' => 'V'",
            "define('DB_PASSWORD', 'V');",
            "<password>V</password>",
            "<add key=\"password\" value=\"V\"/>",
            "- name: DB_PASSWORD\n  value: \"V\"",
            "{\"name\": \"DB_PASSWORD\", \"value\": \"V\"}",
            "--password V",
            "--password=V",
            "\\\"password\\\": \\\"V\\\"",
            "config[\"password\"] = \"V\"",
            "password=b\"V\"",
            "?password=V&next=1",
            "Server=db;Password=V;Port=1",
            "setPassword(\"V\")",
            "SET PASSWORD 'V'",
            "password =\n    \"V\"",
            "{&quot;password&quot;:&quot;V&quot;}",
            "ENV DB_PASSWORD V",
            "password%3DV",
            "if (password == \"V\")",
        ] {
            let lower = text.to_ascii_lowercase();
            let at = lower.find("password").expect(text);
            let found = assigned(text.as_bytes(), at, at + 8);
            let value = found.map(|found| &text[found.value.0..found.value.1]);
            assert_eq!(value, Some("V"), "{text}");
        }
        for text in ["password", "the password is long", "password.", "password)", "password;\nx = 1"] {
            let at = text.find("password").expect(text);
            assert_eq!(assigned(text.as_bytes(), at, at + 8), None, "{text}");
        }
    }
}
