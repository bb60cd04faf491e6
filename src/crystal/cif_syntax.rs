//! The syntax of CIF 1.1 (S. R. Hall, F. H. Allen and I. D. Brown, Acta Cryst. A 47 (1991) 655): data blocks of items and loops.

use super::error::Result;
use super::read::malformed;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    /// The text, without quotes.
    pub(crate) text: String,
    /// Line, from 1.
    pub(crate) line: usize,
    /// Whether quotes or semicolons enclosed it, so that `?` and `.` mean themselves.
    quoted: bool,
}

impl Value {
    /// The text unless it is `?` (unknown) or `.` (inapplicable).
    pub(crate) fn known(&self) -> Option<&str> {
        (self.quoted || !matches!(self.text.as_str(), "?" | ".")).then_some(self.text.as_str())
    }
}

/// Columns of one loop (or one item, a loop of one row), names in lower case with `.` as `_`.
#[derive(Debug)]
pub(crate) struct Table {
    names: Vec<String>,
    values: Vec<Value>,
}

impl Table {
    /// The number of the column called by one of `names`.
    pub(crate) fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.names.iter().position(|n| n == name))
    }

    /// The rows.
    pub(crate) fn rows(&self) -> std::slice::ChunksExact<'_, Value> {
        self.values.chunks_exact(self.names.len())
    }
}

/// One `data_` block.
#[derive(Debug)]
pub(crate) struct Block {
    /// What follows `data_`.
    pub(crate) name: String,
    tables: Vec<Table>,
}

impl Block {
    /// The table with a column called by one of `names`.
    pub(crate) fn table(&self, names: &[&str]) -> Option<&Table> {
        self.tables.iter().find(|table| table.column(names).is_some())
    }

    /// The first value of the item called by one of `names`.
    pub(crate) fn item(&self, names: &[&str]) -> Option<&Value> {
        names.iter().find_map(|name| {
            let table = self.table(&[name])?;
            table.rows().next().map(|row| &row[table.column(&[name]).expect("the table was chosen by this column")])
        })
    }
}

/// Splits a text into its data blocks.
pub(crate) fn parse(text: &str, file: &str) -> Result<Vec<Block>> {
    let mut tokens = tokens(text, file)?.into_iter().peekable();
    let mut blocks: Vec<Block> = Vec::new();
    while let Some(Token { kind, line }) = tokens.next() {
        if let Kind::Data(name) = kind {
            blocks.push(Block { name, tables: Vec::new() });
            continue;
        }
        let block = blocks.last_mut().ok_or_else(|| malformed(file, line, "a CIF must begin with a data_ line"))?;
        match kind {
            Kind::Loop => {
                let mut names = Vec::new();
                while let Some(Kind::Name(name)) = tokens.peek().map(|t| &t.kind) {
                    names.push(name.clone());
                    tokens.next();
                }
                let mut values = Vec::new();
                while let Some(Kind::Value(value)) = tokens.peek().map(|t| &t.kind) {
                    values.push(value.clone());
                    tokens.next();
                }
                if names.is_empty() || values.len() % names.len() != 0 {
                    let what =
                        format!("this loop_ has {} columns but {} values, which fill no whole number of rows", names.len(), values.len());
                    return Err(malformed(file, line, what));
                }
                block.tables.push(Table { names, values });
            }
            Kind::Name(name) => match tokens.next().map(|t| t.kind) {
                Some(Kind::Value(value)) => block.tables.push(Table { names: vec![name], values: vec![value] }),
                _ => return Err(malformed(file, line, format!("the item {name} has no value"))),
            },
            Kind::Value(value) => {
                let shown: String = value.text.chars().take(40).collect();
                return Err(malformed(file, line, format!("the value {shown:?} belongs to no item or loop")));
            }
            Kind::Data(_) => unreachable!("handled above"),
        }
    }
    Ok(blocks)
}

struct Token {
    kind: Kind,
    line: usize,
}

enum Kind {
    Data(String),
    Loop,
    Name(String),
    Value(Value),
}

fn tokens(text: &str, file: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    while let Some((number, line)) = lines.next() {
        let Some(first) = line.strip_prefix(';') else {
            tokens_of_line(line, number, file, &mut tokens)?;
            continue;
        };
        let mut field = vec![first];
        let rest = loop {
            let (_, next) = lines.next().ok_or_else(|| malformed(file, number, "the text field that begins here with ';' has no end"))?;
            match next.strip_prefix(';') {
                Some(rest) => break rest,
                None => field.push(next),
            }
        };
        let value = Value { text: field.join("\n"), line: number, quoted: true };
        tokens.push(Token { kind: Kind::Value(value), line: number });
        tokens_of_line(rest, number, file, &mut tokens)?;
    }
    Ok(tokens)
}

fn tokens_of_line(line: &str, number: usize, file: &str, tokens: &mut Vec<Token>) -> Result<()> {
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let kind;
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let end = closing_quote(&rest[1..], quote)
                .ok_or_else(|| malformed(file, number, format!("the text that begins with {quote} has no closing {quote} on its line")))?;
            kind = Kind::Value(Value { text: rest[1..=end].into(), line: number, quoted: true });
            rest = &rest[end + 2..];
        } else {
            let (word, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
            kind = kind_of_word(word, number);
            rest = after;
        }
        tokens.push(Token { kind, line: number });
        rest = rest.trim_start();
    }
    Ok(())
}

/// Where the closing quote stands in `text`: followed by white space or the end, so that 5'-end needs no escape.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    text.char_indices().find(|&(i, c)| c == quote && text[i + 1..].chars().next().is_none_or(char::is_whitespace)).map(|(i, _)| i)
}

fn kind_of_word(word: &str, line: usize) -> Kind {
    let lower = word.to_ascii_lowercase();
    if let Some(name) = lower.strip_prefix("data_") {
        Kind::Data(word[word.len() - name.len()..].to_string())
    } else if lower == "loop_" {
        Kind::Loop
    } else if lower.starts_with('_') {
        Kind::Name(lower.replace('.', "_"))
    } else {
        Kind::Value(Value { text: word.into(), line, quoted: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_fields_comments_and_loops_are_told_apart() {
        let text = "# head\ndata_One\n_a 'it's here' # note\n_B.c\n;first\nsecond\n;\nloop_ _x _y\n 1 ? '.' \"#2\"\n_z .\n";
        let blocks = parse(text, "t.cif").expect("well formed");
        let block = &blocks[0];
        assert_eq!((blocks.len(), block.name.as_str()), (1, "One"));
        assert_eq!(block.item(&["_a"]).and_then(Value::known), Some("it's here"));
        assert_eq!(block.item(&["_b_c"]).and_then(Value::known), Some("first\nsecond"));
        assert_eq!(block.item(&["_z"]).and_then(Value::known), None);
        let table = block.table(&["_y"]).expect("the loop");
        let known: Vec<_> = table.rows().flatten().map(Value::known).collect();
        assert_eq!(known, [Some("1"), None, Some("."), Some("#2")]);
    }

    #[test]
    fn broken_syntax_names_its_line() {
        for (text, line, words) in [
            ("_a 1\n", 1, "must begin with a data_"),
            ("data_x\n_a 'open\n", 2, "no closing '"),
            ("data_x\n\n;open\n", 3, "has no end"),
            ("data_x\nloop_\n_a\n_b\n1 2 3\n", 2, "2 columns but 3 values"),
            ("data_x\n_a\n_b 1\n", 2, "_a has no value"),
            ("data_x\n_a 1 2\n", 2, "\"2\" belongs to no item"),
        ] {
            let message = parse(text, "t.cif").unwrap_err().to_string();
            assert!(message.starts_with(&format!("t.cif, line {line}: ")) && message.contains(words), "{message}");
        }
    }
}
