// What g++ needs changed in a preprocessed CUDA source: shared variables, and a door for each kernel.
#pragma once
#include <cctype>
#include <cstring>
#include <string>
#include <vector>

namespace emulated {

struct Token {
    enum Kind { WORD, SIGN, OTHER } kind;  // OTHER: space, literals, line markers
    std::string text;
};

inline std::vector<Token> tokens(const std::string &source) {
    std::vector<Token> all;
    const size_t n = source.size();
    for (size_t i = 0; i < n;) {
        const size_t start = i;
        const char c = source[i];
        const bool first_of_line = i == 0 || source[i - 1] == '\n';
        if (isalpha(static_cast<unsigned char>(c)) || c == '_') {
            while (i < n && (isalnum(static_cast<unsigned char>(source[i])) || source[i] == '_')) ++i;
            all.push_back({Token::WORD, source.substr(start, i - start)});
        } else if (c == '#' && first_of_line) {
            while (i < n && source[i] != '\n') ++i;
            all.push_back({Token::OTHER, source.substr(start, i - start)});
        } else if (c == '"' || c == '\'') {
            ++i;
            while (i < n && source[i] != c) i += source[i] == '\\' ? 2 : 1;
            i = i + 1 < n ? i + 1 : n;
            all.push_back({Token::OTHER, source.substr(start, i - start)});
        } else if (isdigit(static_cast<unsigned char>(c))) {
            while (i < n && (isalnum(static_cast<unsigned char>(source[i])) || source[i] == '.' || source[i] == '\'' ||
                             ((source[i] == '+' || source[i] == '-') && strchr("eEpP", source[i - 1]))))
                ++i;
            all.push_back({Token::OTHER, source.substr(start, i - start)});
        } else if (isspace(static_cast<unsigned char>(c))) {
            while (i < n && isspace(static_cast<unsigned char>(source[i])) && !(i > start && source[i - 1] == '\n')) ++i;
            all.push_back({Token::OTHER, source.substr(start, i - start)});
        } else {
            all.push_back({Token::SIGN, std::string(1, c)});
            ++i;
        }
    }
    return all;
}

class Rewriter {
  public:
    explicit Rewriter(const std::string &source) : all(tokens(source)) {}

    std::string run() {
        std::string result;
        while (at < all.size()) {
            const std::string &text = all[at].text;
            if (all[at].kind == Token::WORD && (text == "extern" || text == "static") && followed_by_shared())
                ++at;  // part of the declaration of a shared variable
            else if (all[at].kind == Token::WORD && text == "__shared__")
                result += shared();
            else {
                if (all[at].kind == Token::WORD && text == "__global__") note_kernel();
                result += text;
                ++at;
            }
        }
        if (result.empty() || result.back() != '\n') result += '\n';
        for (const std::string &name : kernels) result += "EMULATED_KERNEL(" + name + ")\n";
        return result;
    }

    std::vector<std::string> kernels;

  private:
    std::vector<Token> all;
    size_t at = 0;
    int places = 0;

    size_t next(size_t i) const {
        do ++i;
        while (i < all.size() && all[i].kind == Token::OTHER && isspace(static_cast<unsigned char>(all[i].text[0])));
        return i;
    }

    bool followed_by_shared() const {
        for (size_t i = next(at), k = 0; i < all.size() && k < 3; i = next(i), ++k) {
            if (all[i].text == "__shared__") return true;
            if (all[i].kind != Token::WORD) return false;
        }
        return false;
    }

    // Past a bracket that closes the one at `i`.
    size_t closed(size_t i) const {
        const std::string open = all[i].text, close = open == "(" ? ")" : open == "[" ? "]" : ">";
        int depth = 0;
        for (; i < all.size(); ++i) {
            if (all[i].kind != Token::SIGN) continue;
            if (all[i].text == open) ++depth;
            if (all[i].text == close && --depth == 0) return i + 1;
        }
        return i;
    }

    // `__global__ void __launch_bounds__(256) name(`: the last word before the parameters.
    void note_kernel() {
        for (size_t i = at; i < all.size(); i = next(i)) {
            if (all[i].text == ";" || all[i].text == "{") return;
            if (all[i].text != "(") continue;
            size_t before = i - 1;
            while (before > at && all[before].kind == Token::OTHER) --before;
            if (all[before].text == "__launch_bounds__" || all[before].text == "__align__") {
                i = closed(i) - 1;
                continue;
            }
            bool known = false;
            for (const std::string &name : kernels) known = known || name == all[before].text;
            if (!known && !is_template()) kernels.push_back(all[before].text);
            return;
        }
    }

    // The kernels of a template have no name of their own.
    bool is_template() const {
        for (size_t i = at; i-- > 0;) {
            const std::string &text = all[i].text;
            if (text == ";" || text == "}") return false;
            if (text == "template") return true;
        }
        return false;
    }

    // __shared__ T a[2][N], b;  ->  auto &a = emulated::shared<0, T[2][N]>(); auto &b = ...;
    // extern __shared__ T c[];  ->  T *const &c = reinterpret_cast<T *const &>(emulated_state.dynamic_shared);
    std::string shared() {
        std::string type, result, lines;
        size_t i = at + 1;
        std::vector<size_t> declaration;
        for (; i < all.size() && all[i].text != ";"; ++i) {
            if (all[i].kind == Token::WORD && (all[i].text == "extern" || all[i].text == "static")) continue;
            if (all[i].text == "__align__" || all[i].text == "alignas") {
                i = closed(next(i)) - 1;
                continue;
            }
            if (all[i].kind == Token::OTHER && isspace(static_cast<unsigned char>(all[i].text[0])))
                for (const char c : all[i].text) lines += c == '\n' ? "\n" : "";
            declaration.push_back(i);
        }
        at = i + 1;
        // the type ends before the first declarator: the last word before [ , = or the end
        size_t name = declaration.size();
        int depth = 0;
        for (size_t k = 0; k < declaration.size(); ++k) {
            const Token &t = all[declaration[k]];
            if (t.kind == Token::SIGN && t.text == "<") ++depth;
            if (t.kind == Token::SIGN && t.text == ">") --depth;
            if (depth == 0 && t.kind == Token::SIGN && (t.text == "[" || t.text == ",")) break;
            if (depth == 0 && t.kind == Token::WORD) name = k;
        }
        for (size_t k = 0; k < name; ++k) type += all[declaration[k]].text;
        for (size_t k = name; k < declaration.size();) {
            while (k < declaration.size() && all[declaration[k]].kind != Token::WORD) ++k;
            if (k == declaration.size()) break;
            const std::string called = all[declaration[k++]].text;
            std::string dimensions;
            int brackets = 0;
            for (; k < declaration.size(); ++k) {
                const std::string &text = all[declaration[k]].text;
                if (text == "[") ++brackets;
                if (text == "]") --brackets;
                if (brackets == 0 && text == ",") break;
                dimensions += text;
            }
            std::string bare;
            for (const char c : dimensions)
                if (!isspace(static_cast<unsigned char>(c))) bare += c;
            if (bare.rfind("[]", 0) == 0)
                result += "typedef __typeof__(" + type + bare.substr(2) + ") *" + called + "_dynamic; " + called + "_dynamic const &" +
                          called + " = reinterpret_cast<" + called + "_dynamic const &>(emulated_state.dynamic_shared);";
            else
                result += "auto &" + called + " = emulated::shared<" + std::to_string(places++) + ", " + type + dimensions + ">(); ";
        }
        return result + lines;
    }
};

}  // namespace emulated
