// Both headers are C++ as well.
#include <cstdio>

#include <nlsh/learn.h>
#include <nlsh/nlsh.h>

int main()
{
    nlsh_error error{};
    nlsh_index *index = nullptr;
    if (nlsh_index_open("/no such file", nullptr, &index, &error) != NLSH_E_NO_INPUT) return 1;
    nlsh_search_options options;
    nlsh_search_options_init(&options, sizeof options);
    std::printf("  from C++: %s\n", error.message);
    return options.k == 10 ? 0 : 1;
}
