// SPDX-License-Identifier: Apache-2.0
// libmarlin_moe from C#: how to declare its structures and functions, and a proof that they lie as in
// C. Compares every declaration here with tests/abi/frozen.txt, then makes a context and provokes an
// error, whose sentence it prints.
//
//     mcs Layout.cs && LD_LIBRARY_PATH=path/to/lib mono Layout.exe path/to/tests/abi/frozen.txt
using System;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;

[StructLayout(LayoutKind.Sequential)]
struct mmoe_error {
    public uint struct_size;
    public int status;
    public int os_errno;
    public int cuda_error;
    public ulong file_offset;
    [MarshalAs(UnmanagedType.ByValArray, SizeConst = 232)] public byte[] message;

    public string Sentence => Encoding.UTF8.GetString(message.TakeWhile(unit => unit != 0).ToArray());
}

[StructLayout(LayoutKind.Sequential)]
struct mmoe_allocator {
    public IntPtr user, allocate, release;
}

[StructLayout(LayoutKind.Sequential)]
struct mmoe_context_options {
    public uint struct_size;
    public int device_kind;
    public int device_index;
    public uint thread_count;
    public mmoe_allocator host_allocator, device_allocator;
    public IntPtr log, log_user; // function pointers of delegates that are kept in fields
    public IntPtr parallel_for, parallel_for_user;
    public ulong memory_budget_bytes;
    public int log_level, cpu_tier;
}

[StructLayout(LayoutKind.Sequential)]
struct mmoe_tensor {
    public IntPtr data;
    public int dtype, rank;
    [MarshalAs(UnmanagedType.ByValArray, SizeConst = 4)] public long[] shape, stride;
}

static class Library {
    const string Name = "marlin_moe"; // Windows: "marlin_moe-0"

    [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
    public static extern int mmoe_context_create(ref mmoe_context_options options, out IntPtr context,
                                                 ref mmoe_error error);
    [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
    public static extern void mmoe_context_destroy(IntPtr context);
}

static class Program {
    static int failures;

    static void Expect(bool condition, string what) {
        if (condition) return;
        Console.WriteLine("FAIL: " + what);
        ++failures;
    }

    // Lines of frozen.txt are `name value`, of a structure its size, of a member its offset.
    static void CompareLayout(string[] frozen, Type type) {
        foreach (string line in frozen) {
            string[] words = line.Split(' ');
            if (words.Length != 2 || words[0].Split('.')[0] != type.Name) continue;
            string[] path = words[0].Split('.');
            long got = path.Length == 1 ? Marshal.SizeOf(type) : (long)Marshal.OffsetOf(type, path[1]);
            Expect(got == long.Parse(words[1]), line + ", got " + got);
        }
    }

    static int Main(string[] arguments) {
        string[] frozen = File.ReadAllLines(arguments[0]);
        Type[] types = { typeof(mmoe_error), typeof(mmoe_allocator), typeof(mmoe_context_options),
                         typeof(mmoe_tensor) };
        foreach (Type type in types) {
            Expect(frozen.Any(line => line.StartsWith(type.Name + " ")), type.Name + " is not in the table");
            CompareLayout(frozen, type);
        }
        var options = new mmoe_context_options { device_kind = 1 };
        options.struct_size = (uint)Marshal.SizeOf(options);
        var error = new mmoe_error { message = new byte[232] };
        error.struct_size = (uint)Marshal.SizeOf(error);
        IntPtr context;
        Expect(Library.mmoe_context_create(ref options, out context, ref error) == 0, "a context");
        Library.mmoe_context_destroy(context);
        options.device_kind = 99;
        Expect(Library.mmoe_context_create(ref options, out context, ref error) == 1000, "a refusal");
        Expect(context == IntPtr.Zero && error.Sentence.Length > 0, "a sentence");
        Console.WriteLine(failures == 0 ? "layouts agree; " + error.Sentence : failures + " failures");
        return failures == 0 ? 0 : 1;
    }
}
